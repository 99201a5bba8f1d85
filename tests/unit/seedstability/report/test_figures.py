"""Figures of the report: nothing cut off, too small, or overlapping."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from helpers.report_documents import example
from seedstability.report.figures import inline_svg, seed_pairs, style
from seedstability.report.page import figures

REPORTS = {"two": (2, False), "five": (5, True), "twenty": (20, True)}


@pytest.fixture(params=REPORTS, scope="module")
def drawn(request):
    """Every figure of a report, intercepted before it becomes SVG."""
    n_seeds, activations = REPORTS[request.param]
    document, _ = example(n_seeds, activations=activations)
    caught = {}

    def catch(figure, name, description):
        caught[name] = figure
        return description

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline_svg, "markup", catch)
        for draw in (figures.distribution, figures.reproducibility, figures.frequency):
            draw(document)
        figures.heat_maps(document)
    return caught


def texts(figure) -> list[Text]:
    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_font_sizes_are_at_least_the_minimum(drawn):
    for figure in drawn.values():
        assert min(text.get_fontsize() for text in texts(figure)) >= style.SMALLEST_TYPE


def test_no_label_is_cut_off(drawn):
    for name, figure in drawn.items():
        figure.draw_without_rendering()
        used = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
        # In inches, with a tolerance of 0.01 for rounding.
        assert min(used.p0) >= -0.01, name
        assert np.all(used.p1 <= figure.get_size_inches() + 0.01), name


@pytest.mark.parametrize("n_seeds", [2, 8, 9, 10, 11, 20])
def test_numbers_of_a_heat_map_do_not_overlap(n_seeds):
    names = [f"seed {index}" for index in range(n_seeds)]
    figure = seed_pairs.draw(
        {"names": names, "values": np.full((n_seeds,) * 2, 0.456), "what": "x"}
    )
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    # With the width of a digit between them: numbers that touch look like one.
    cells = [text.get_window_extent(renderer).padded(3) for text in figure.axes[0].texts]
    assert len(cells) == n_seeds**2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(cells, 2))


def test_a_heat_map_prints_each_pair_and_nothing_else():
    values = [[None, 0.25, 0.5], [0.25, None, None], [0.5, None, None]]
    figure = seed_pairs.draw({"names": ["a", "b", "c"], "values": values, "what": "cosine"})
    printed = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert printed == {
        (1.5, 0.5): ".250",
        (0.5, 1.5): ".250",
        (2.5, 0.5): ".500",
        (0.5, 2.5): ".500",
    }
    assert figure.axes[1].get_ylabel() == "cosine"


def test_numbers_contrast_with_their_cell():
    """Text is light on dark cells and dark on light cells."""
    values = np.array([[np.nan, 0.1], [0.9, np.nan]])
    figure = seed_pairs.draw({"names": ["a", "b"], "values": values, "what": "cosine"})
    colors = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert colors == {".100": "white", ".900": "black"}


def test_inline_svg_has_a_size_and_a_text_alternative():
    figure = seed_pairs.draw({"names": ["a", "b"], "values": [[None, 1], [1, None]], "what": "x"})
    svg = inline_svg.markup(figure, "name", 'a "b" <c>')
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in svg
    assert "<metadata" not in svg
    assert "<style" not in svg
    assert "<!--" not in svg
