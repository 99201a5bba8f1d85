"""Figure of section "Planted truth"."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from audit.plots.latents import planted

NAMES = ("blocks", "turned", "blocks_gauge", "singles", "expected")
SPANS = tuple(f"overlap_{level}" for level in ("value", "turned", "gauge", "other"))


def along(levels):
    drawn = {"level": np.array(levels, float)}
    for place, name in enumerate(NAMES + SPANS):
        value = np.linspace(0.9, 0.3, len(levels)) - 0.03 * place
        drawn |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}
    return drawn


SHARES = np.array([0.0045, 0.0109, 0.026, 0.065])
CLASSES = {"measured": np.array([0.1, 0.2, 0.4, 0.6]), "expected": np.array([0.0, 0.1, 0.3, 0.5])}
DATA = {
    "sweeps": {
        "rank": {"figure": along([1, 2, 4, 8])},
        "samples": {"figure": along([2048, 8192, 32768])},
    },
    "frequency": {"frequency": SHARES, "singles": CLASSES, "blocks": CLASSES},
}


@pytest.fixture(scope="module")
def figure():
    return planted.draw(DATA)


def curves(axes):
    bars = {bar.get_label(): bar.lines[0].get_ydata() for bar in axes.containers}
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    return {**lines, **bars}


def test_each_axis_is_labeled(figure):
    expected = [
        ("dimensions of a block", "reproducibility"),
        ("dimensions of a block", "overlap of two seeds' spans"),
        ("share of samples in which the unit is active", "reproducibility"),
        ("samples trained on, equal steps", "reproducibility"),
    ]
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == expected
    assert all(axes.get_title("left") for axes in figure.axes)


def test_latents_and_spans_have_their_own_values(figure):
    rank = DATA["sweeps"]["rank"]["figure"]
    latents = curves(figure.axes[0])
    for label, name in (
        ("latents of blocks", "blocks"),
        ("latents of singles", "singles"),
        ("blocks turned within themselves", "turned"),
        ("gauge-scrambled", "blocks_gauge"),
        ("covering law", "expected"),
    ):
        assert latents[label] == pytest.approx(rank[name])
    spans = [bar.lines[0].get_ydata() for bar in figure.axes[1].containers]
    for drawn, name in zip(spans, SPANS, strict=True):
        assert drawn == pytest.approx(rank[name])
    few = [bar.lines[0].get_ydata() for bar in figure.axes[3].containers]
    assert few[1] == pytest.approx(DATA["sweeps"]["samples"]["figure"]["blocks"])


def test_measured_and_expected_are_drawn_over_frequency(figure):
    lines = figure.axes[2].lines
    assert [line.get_xdata().tolist() for line in lines] == [SHARES.tolist()] * 4
    drawn = [line.get_ydata() for line in lines]
    assert drawn[2] == pytest.approx(CLASSES["measured"])
    assert drawn[3] == pytest.approx(CLASSES["expected"])
    ticks = [label.get_text() for label in figure.axes[2].get_xticklabels()]
    assert ticks == ["0.5%", "1.1%", "2.6%", "6.5%"] or ticks[1:] == ["1.1%", "2.6%", "6.5%"]


def test_markers_differ_without_color(figure):
    lines = [bar.lines[0] for bar in figure.axes[0].containers]
    lines += [line for line in figure.axes[0].lines if line.get_label() == "covering law"]
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == len(NAMES)
    assert len({line.get_marker() for line in lines}) == len(NAMES)


def test_nothing_is_cut_off(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    page = figure.bbox
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible():
            box = text.get_window_extent(renderer)
            assert box.x0 >= page.x0 - 1, text.get_text()
            assert box.x1 <= page.x1 + 1, text.get_text()
            assert box.y0 >= page.y0 - 1, text.get_text()
            assert box.y1 <= page.y1 + 1, text.get_text()
