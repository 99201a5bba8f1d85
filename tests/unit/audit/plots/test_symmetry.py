"""Figures of section "A known symmetry"."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from audit.plots.addition import symmetry, symmetry_example
from seedstability.report.figures import style


def arm(level):
    value = level + 0.1 * np.arange(5)
    return {
        "value": value,
        "low": value - 0.02,
        "high": value + 0.02,
        "gauge": value - 0.05,
        "phase": value / 3,
    }


LEVELS = {"topk": arm(0.4), "relu": arm(0.3), "literature": arm(0.5)}
MAPS = {
    "latent": np.eye(9),
    "plain": np.roll(np.eye(9), 2, axis=1),
    "shifted": 0.8 * np.eye(9),
    "plain_correlation": 0.31,
    "shifted_correlation": 0.87,
}


def drawn(module, data):
    figure = module.draw(data)
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize(("module", "data"), [(symmetry, LEVELS), (symmetry_example, MAPS)])
def test_figure_is_as_wide_as_the_text_with_large_enough_type_and_nothing_cut(module, data):
    figure = drawn(module, data)
    width, height = figure.get_size_inches()
    assert width == pytest.approx(style.TEXT_WIDTH_INCHES)
    texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= style.SMALLEST_TYPE
    inked = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert min(inked.x0, inked.y0) >= 0
    assert inked.x1 <= width
    assert inked.y1 <= height


def test_each_panel_shows_its_arm_and_both_nulls():
    figure = drawn(symmetry, LEVELS)
    for axes, name in zip(figure.axes, LEVELS, strict=True):
        lines = [np.asarray(line.get_xdata(), float) for line in axes.lines]
        for of in ("value", "gauge", "phase"):
            assert any(np.array_equal(line, LEVELS[name][of]) for line in lines), (name, of)


def test_rows_and_axis_are_labeled():
    figure = drawn(symmetry, LEVELS)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [*symmetry.WAYS]
    assert "correlation" in figure.axes[1].get_xlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "gauge-scrambled",
        "phase-scrambled",
        "another seed",
    ]
    top, bottom = figure.axes[0].get_ylim()[::-1]
    assert top < bottom  # fewest allowed transformations on top


def test_trained_marks_are_filled_and_nulls_hollow_with_own_markers():
    axes = drawn(symmetry, LEVELS).axes[0]
    series = [line for line in axes.lines if line.get_marker() in ("o", "s", "D")]
    assert len({line.get_marker() for line in series}) == 3
    hollow = {line.get_marker(): line.get_markerfacecolor() == "white" for line in series}
    assert hollow == {"o": False, "s": True, "D": True}


def test_maps_share_one_gray_scale_with_b_pointing_up():
    figure = drawn(symmetry_example, MAPS)
    panels = figure.axes[:3]
    assert panels[0].get_ylabel() == "b"
    assert {axes.get_xlabel() for axes in panels} == {"a"}
    for axes, name in zip(panels, ("latent", "plain", "shifted"), strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), MAPS[name].T)
        assert image.origin == "lower"
        assert image.get_clim() == (0.0, 1.0)
    shade = to_rgb(panels[0].images[0].get_cmap()(0.7))
    assert shade[0] == shade[1] == shade[2]
    assert figure.axes[3].get_ylabel() == "activation less its mean"


def test_titles_show_the_correlations():
    titles = [axes.get_title(loc="left") for axes in drawn(symmetry_example, MAPS).axes[:3]]
    assert "0.31" in titles[1]
    assert "0.87" in titles[2]
