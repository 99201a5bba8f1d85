import re
import time
from dataclasses import replace

import numpy as np
import pytest

from audit.manuscript.figures import Figure, plain, render, rendering_key
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar
from helpers.manuscript_values import TREE, edition
from seedstability.errors import UserError

HEADLINE = Figure(
    "headline", "chance.points", "invoke experiments --only chance", "chance.headline"
)
VALUES = edition().values


def test_two_drawings_are_the_same_file_without_a_date(tmp_path):
    first = render(HEADLINE, VALUES, tmp_path / "one").read_bytes()
    time.sleep(1.1)  # dates in a PDF have a resolution of one second
    second = render(HEADLINE, VALUES, tmp_path / "two").read_bytes()
    assert first == second
    assert not re.search(rb"/(CreationDate|ModDate|Producer|Creator)", first)


def test_text_in_a_figure_is_embedded_as_text(tmp_path):
    content = render(HEADLINE, VALUES, tmp_path).read_bytes()
    assert b"/FontFile2" in content
    assert b"/Subtype /Type3" not in content


def test_figure_is_drawn_again_only_if_an_input_changed(tmp_path):
    drawn = render(HEADLINE, VALUES, tmp_path)
    before = drawn.stat().st_mtime_ns
    assert render(HEADLINE, VALUES, tmp_path).stat().st_mtime_ns == before

    other = {"chance": {"points": {**TREE["chance"]["points"]}}}
    other["chance"]["points"]["first"] = {**TREE["chance"]["points"]["first"], "reported": 0.4}
    render(HEADLINE, Values.from_tree(other), tmp_path)
    assert drawn.stat().st_mtime_ns != before


def test_damaged_figure_is_drawn_again(tmp_path):
    drawn = render(HEADLINE, VALUES, tmp_path)
    whole = drawn.read_bytes()
    drawn.write_bytes(whole[:100])
    assert render(HEADLINE, VALUES, tmp_path).read_bytes() == whole


@pytest.mark.parametrize("form", ["png", "svg"])
def test_png_and_svg_are_reproducible(tmp_path, form):
    first = render(HEADLINE, VALUES, tmp_path / "one", form).read_bytes()
    assert render(HEADLINE, VALUES, tmp_path / "two", form).read_bytes() == first


def test_missing_value_of_a_figure_is_named(tmp_path):
    with pytest.raises(UserError, match=r"figure closed_form: nothing at chance\.curve\.sizes"):
        render(Figure("closed_form", "chance.curve", "", "chance.closed_form"), VALUES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_plots_receive_plain_data():
    tree = {"a": {"b": Scalar(0.5), "c": Array(np.arange(3))}, "d": "text", "e": True}
    data = plain(tree)
    assert data["a"]["b"] == 0.5
    assert data["a"]["c"].tolist() == [0, 1, 2]
    assert data["d"] == "text"


def test_rendering_key_depends_on_values_and_code_and_not_on_the_command():
    data = {"x": np.array([1.0, 2.0]), "n": 3}
    key = rendering_key(HEADLINE, data)
    assert rendering_key(replace(HEADLINE, command="other"), data) == key
    assert rendering_key(HEADLINE, {**data, "x": np.array([1.0, 2.5])}) != key
    assert rendering_key(HEADLINE, {**data, "x": np.array([[1.0], [2.0]])}) != key
    assert rendering_key(replace(HEADLINE, module="chance.closed_form"), data) != key
