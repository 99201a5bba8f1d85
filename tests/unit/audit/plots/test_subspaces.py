"""Figures of section "Unstable latents"."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from audit.plots.latents import subspaces, unstable_spans

EDGES = np.linspace(0.0, 1.0, 11)


def histogram():
    return {
        "edges": EDGES,
        "unstable": np.array([0, 0, 10, 20, 5, 0, 0, 0, 0, 0.0]),
        "between": np.array([0, 0, 0, 5, 20, 20, 5, 0, 0, 0.0]),
        "stable": np.array([0, 0, 0, 0, 0, 0, 5, 5, 5, 0.0]),
        "gauge": np.array([0, 50, 50, 0, 0, 0, 0, 0, 0, 0.0]),
        "votes": np.array([35.0, 20, 10, 10, 10, 15]),
        "votes_gauge": np.array([99.0, 1, 0, 0, 0, 0]),
    }


CAMPS = {
    name: {"figure": histogram(), "groups": "camps"} for name in ("language", "clean", "leaky")
}


def curve(dimensions):
    found = np.array(dimensions) / 100
    levels = ("covariance", "gauge", "partners", "components", "stable", "random")
    return {
        "dimension": np.array(dimensions, float),
        "value": found + 0.3,
        "low": found + 0.28,
        "high": found + 0.32,
        **{level: found + 0.02 * place for place, level in enumerate(levels)},
    }


SPANS = {
    name: {"figure": curve(at)}
    for name, at in (("language", (4, 8, 16)), ("clean", (4, 8)), ("leaky", (4, 8, 16, 32)))
}
FIGURES = {"camps": (subspaces, CAMPS), "spans": (unstable_spans, SPANS)}


def drawn(name):
    module, data = FIGURES[name]
    figure = module.draw(data)
    FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.parametrize("name", FIGURES)
def test_panels_have_titles_and_axis_labels(name):
    figure = drawn(name)
    assert all(axes.get_xlabel() for axes in figure.axes)
    assert figure.axes[0].get_ylabel()
    assert all(axes.get_title(loc="left") for axes in figure.axes)


@pytest.mark.parametrize("name", FIGURES)
def test_all_panels_and_legends_lie_within_the_page(name):
    figure = drawn(name)
    page, renderer = figure.bbox, figure.canvas.get_renderer()
    for part in [*figure.axes, *figure.legends]:
        box = part.get_tightbbox(renderer)
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1


def test_camps_are_stacked_and_the_gauge_is_a_band():
    _, axes, *_ = drawn("camps").axes
    tops = [patch.get_data() for patch in axes.patches if hasattr(patch, "get_data")]
    found = histogram()
    whole = found["unstable"] + found["between"] + found["stable"]
    assert np.array_equal(tops[-1].values, whole)
    assert np.array_equal(tops[-1].baseline, found["unstable"] + found["between"])
    ends = sorted(line.get_xdata()[0] for line in axes.lines)
    assert ends == pytest.approx([0.11, 0.29])


def test_recurrence_is_drawn_from_none_to_all_with_its_gauge_level():
    axes = drawn("camps").axes[0]
    assert [bar.get_height() for bar in axes.patches] == histogram()["votes"].tolist()
    [gauge] = axes.lines
    assert gauge.get_ydata().tolist() == histogram()["votes_gauge"].tolist()
    assert "99.0%" in axes.texts[0].get_text()


def test_overlaps_have_an_interval_and_six_levels_in_each_panel():
    figure = drawn("spans")
    for axes, name in zip(figure.axes, SPANS, strict=True):
        assert len(axes.containers) == 1
        middle = axes.containers[0].lines[0]
        assert np.array_equal(middle.get_ydata(), SPANS[name]["figure"]["value"])
        assert len(axes.lines) >= 7
        assert len({(line.get_marker(), line.get_color()) for line in axes.lines[:6]}) == 6
    assert len(figure.legends[0].get_texts()) == 7
    assert figure.legends[0].get_texts()[0].get_text() == "unstable, two seeds"
