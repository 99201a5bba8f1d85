import re
import time
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from audit.experiments.common.declaration import Figure
from audit.manuscript.figures import _data, plain, render, rendering_key
from audit.manuscript.places import places
from audit.pipeline.graph.keys import current_sources
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar
from helpers.manuscript_values import TREE, edition
from seedstability.errors import UserError

HEADLINE = Figure("headline", "chance.points", "chance.headline")
VALUES = edition().values
SOURCES = current_sources()


def test_two_drawings_are_the_same_file_without_a_date(tmp_path):
    first = render(HEADLINE, VALUES, tmp_path / "one", SOURCES).read_bytes()
    time.sleep(1.1)  # dates in a PDF have a resolution of one second
    second = render(HEADLINE, VALUES, tmp_path / "two", SOURCES).read_bytes()
    assert first == second
    assert not re.search(rb"/(CreationDate|ModDate|Producer|Creator)", first)


def test_text_in_a_figure_is_embedded_as_text(tmp_path):
    content = render(HEADLINE, VALUES, tmp_path, SOURCES).read_bytes()
    assert b"/FontFile2" in content
    assert b"/Subtype /Type3" not in content


def test_figure_is_drawn_again_only_if_an_input_changed(tmp_path):
    drawn = render(HEADLINE, VALUES, tmp_path, SOURCES)
    before = drawn.stat().st_mtime_ns
    assert render(HEADLINE, VALUES, tmp_path, SOURCES).stat().st_mtime_ns == before

    other = {"chance": {"points": {**TREE["chance"]["points"]}}}
    other["chance"]["points"]["first"] = {**TREE["chance"]["points"]["first"], "reported": 0.4}
    render(HEADLINE, Values.from_tree(other), tmp_path, SOURCES)
    assert drawn.stat().st_mtime_ns != before


def test_damaged_figure_is_drawn_again(tmp_path):
    drawn = render(HEADLINE, VALUES, tmp_path, SOURCES)
    whole = drawn.read_bytes()
    drawn.write_bytes(whole[:100])
    assert render(HEADLINE, VALUES, tmp_path, SOURCES).read_bytes() == whole


@pytest.mark.parametrize("form", ["png", "svg"])
def test_png_and_svg_are_reproducible(tmp_path, form):
    first = render(HEADLINE, VALUES, tmp_path / "one", SOURCES, form).read_bytes()
    assert render(HEADLINE, VALUES, tmp_path / "two", SOURCES, form).read_bytes() == first


def test_settings_of_the_user_do_not_reach_a_figure(tmp_path):
    usual = render(HEADLINE, VALUES, tmp_path / "one", SOURCES).read_bytes()
    with matplotlib.rc_context({"axes.grid": True, "font.size": 14, "savefig.bbox": "tight"}):
        assert render(HEADLINE, VALUES, tmp_path / "two", SOURCES).read_bytes() == usual
        assert matplotlib.rcParams["axes.grid"]


def test_missing_value_of_a_figure_is_named(tmp_path):
    with pytest.raises(
        UserError, match=r"figure closed_form: nothing called sizes below chance\.curve"
    ):
        render(
            Figure("closed_form", "chance.curve", "chance.closed_form"), VALUES, tmp_path, SOURCES
        )
    assert list(tmp_path.iterdir()) == []


def test_a_figure_of_several_subtrees_gets_each_by_its_name_and_is_found_from_all(tmp_path):
    both = Figure("both", {"one": "chance.points", "other": "chance.size"}, "chance.headline")
    data = _data(both, VALUES)
    assert data == {
        "one": plain(VALUES.subtree("chance.points")),
        "other": plain(VALUES.subtree("chance.size")),
    }
    shown = [
        places(f"chance.{n}", [], edition(), tmp_path, [both]) for n in ("size.x", "points.y", "z")
    ]
    assert shown == [["figure both"], ["figure both"], []]
    with pytest.raises(UserError, match=r"below chance\.points, chance\.size"):
        render(both, VALUES, tmp_path, SOURCES)


def test_plots_receive_plain_data():
    tree = {"a": {"b": Scalar(0.5), "c": Array(np.arange(3))}, "d": "text", "e": True}
    data = plain(tree)
    assert data["a"]["b"] == 0.5
    assert data["a"]["c"].tolist() == [0, 1, 2]
    assert data["d"] == "text"


def test_rendering_key_depends_on_values_and_code():
    data = {"x": np.array([1.0, 2.0]), "n": 3}
    key = rendering_key(HEADLINE, data, SOURCES)
    assert rendering_key(HEADLINE, {**data, "x": np.array([1.0, 2.5])}, SOURCES) != key
    assert rendering_key(HEADLINE, {**data, "x": np.array([[1.0], [2.0]])}, SOURCES) != key
    assert rendering_key(replace(HEADLINE, module="chance.closed_form"), data, SOURCES) != key
