"""Figure of section "What latents do"."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from audit.plots.language import activations
from seedstability.report.figures import style


def curve(bins, other, **more):
    value = np.linspace(0.0, 0.95, bins)
    return {
        "cosine": np.linspace(0.05, 0.95, bins),
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "gauge": np.where(np.arange(bins) < bins // 2, value / 2, np.nan),
        other: value / 8,
        **more,
    }


DATA = {
    "correlation": {"curve": curve(10, "shuffled", share=np.linspace(1, 19, 10))},
    "ablation": {"curve": curve(5, "other")},
}


@pytest.fixture
def drawn():
    figure = activations.draw(DATA)
    figure.draw_without_rendering()
    return figure


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_the_figure_is_as_wide_as_the_text_and_its_type_is_large_enough(drawn):
    assert drawn.get_figwidth() == pytest.approx(style.TEXT_WIDTH_INCHES)
    assert min(text.get_fontsize() for text in texts(drawn)) >= style.SMALLEST_TYPE


def test_no_label_is_cut(drawn):
    width, height = drawn.get_size_inches()
    inked = drawn.get_tightbbox(FigureCanvasAgg(drawn).get_renderer())
    assert min(inked.x0, inked.y0) >= 0
    assert inked.x1 <= width
    assert inked.y1 <= height


def test_each_panel_shows_its_own_measure_and_chance_levels(drawn):
    fires, moves = drawn.axes[:2]
    for axes, part, other in ((fires, "correlation", "shuffled"), (moves, "ablation", "other")):
        drawn_lines = [np.asarray(line.get_ydata(), float) for line in axes.lines]
        for name in ("value", "gauge", other):
            wanted = DATA[part]["curve"][name]
            assert any(np.array_equal(line, wanted, equal_nan=True) for line in drawn_lines), name


def test_series_differ_in_marker_and_chance_is_hollow(drawn):
    chance = {
        line.get_label(): line
        for axes in drawn.axes[:2]
        for line in axes.lines
        if not line.get_label().startswith("_")
    }.values()
    assert len(chance) == 3
    assert {line.get_markerfacecolor() for line in chance} == {"white"}
    assert len({line.get_marker() for line in chance}) == 3


def test_legend_has_each_series_once(drawn):
    names = [text.get_text() for text in drawn.axes[3].get_legend().get_texts()]
    assert names == [
        "partner in another seed",
        "gauge-scrambled",
        "other contexts",
        "other latent, same places",
    ]


def test_bars_show_the_share_of_latents_per_bin(drawn):
    heights = [bar.get_height() for bar in drawn.axes[2].patches]
    np.testing.assert_allclose(heights, DATA["correlation"]["curve"]["share"])


def test_each_column_labels_its_x_axis(drawn):
    """The upper right panel labels its own axis, since the legend is below it."""
    _, moves, shares, _ = drawn.axes
    assert moves.get_xlabel() == shares.get_xlabel() == "cosine of decoder rows"
    assert any(label.get_visible() and label.get_text() for label in moves.get_xticklabels())
