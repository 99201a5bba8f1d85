"""Figures of sections "Same data, different features" and "Code and prose"."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from audit.plots.language import alignment, alignment_frequency, alignment_modes, domains
from seedstability.report.figures import style

SIZES = np.array([512.0, 2048.0, 8192.0, 16384.0])


def curve(values, gauge):
    values = np.array(values)
    ends = {"low": values - 2, "high": values + 2} if values[0] > 1 else {}
    ends = ends or {"low": values - 0.02, "high": values + 0.02}
    return {"value": values, **ends, "gauge": np.full(4, gauge), "live": values * 1.1}


ALIGNMENT = {
    "size": SIZES,
    "agreeing": curve([80.0, 70.0, 60.0, 55.0], 10.0),
    "shared": curve([50.0, 40.0, 25.0, 20.0], 0.0),
    "shared_decoder_only": curve([55.0, 45.0, 30.0, 25.0], 0.1),
    "matched_mean": curve([0.6, 0.55, 0.5, 0.45], 0.3),
    "explained_variance": np.array([0.8, 0.85, 0.87, 0.88]),
    "dead_fraction": np.array([0.0, 4.0, 33.0, 50.0]),
}
EDGES = np.linspace(-0.2, 1.0, 41)
MODES = {
    "histogram": {
        place: {
            "edges": EDGES,
            "trained": np.full(40, 2.5),
            "gauge": np.full(40, 2.5),
            "mixture": np.full(40, 2.4),
        }
        for place in ("smallest", "small", "large", "largest")
    }
}
FREQUENCY = {
    arm: {
        "curve": {
            "frequency": np.logspace(-4, -1, 10),
            "median": np.linspace(0.3, level, 10),
            "low": np.linspace(0.2, level - 0.1, 10),
            "high": np.linspace(0.4, level + 0.05, 10),
            "shared": np.linspace(5, 100 * level, 10),
        }
    }
    for arm, level in (("long", 0.9), ("short", 0.7))
}
DOMAINS = {
    kind: {
        "figure": {
            "within": np.linspace(0.3, 0.97, 10),
            "median": np.linspace(0.3, 0.8, 10),
            "low": np.linspace(0.25, 0.7, 10),
            "high": np.linspace(0.35, 0.9, 10),
            "gauge": np.full(10, 0.35),
        }
    }
    for kind in ("code", "prose")
}
FIGURES = {
    "alignment": (alignment, ALIGNMENT),
    "modes": (alignment_modes, MODES),
    "frequency": (alignment_frequency, FREQUENCY),
    "domains": (domains, DOMAINS),
}


@pytest.fixture(params=FIGURES, scope="module")
def drawn(request):
    module, data = FIGURES[request.param]
    figure = module.draw(data)
    figure.draw_without_rendering()
    return figure


def test_figures_are_as_wide_as_the_text(drawn):
    assert drawn.get_figwidth() == pytest.approx(style.TEXT_WIDTH_INCHES)


def test_no_type_is_too_small_to_read(drawn):
    texts = [text for text in drawn.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= style.SMALLEST_TYPE


def test_no_label_is_cut(drawn):
    width, height = drawn.get_size_inches()
    inked = drawn.get_tightbbox(FigureCanvasAgg(drawn).get_renderer())
    assert inked.x0 >= 0
    assert inked.y0 >= 0
    assert inked.x1 <= width
    assert inked.y1 <= height


def test_chance_level_of_each_share_is_hollow():
    panel = alignment.draw(ALIGNMENT).axes[0]
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == "white"]
    levels = [line.get_ydata()[0] for line in hollow]
    assert levels == [10.0, 0.1, 0.0]


def test_counts_differ_in_marker_and_line():
    panel = alignment.draw(ALIGNMENT).axes[0]
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == "white"]
    assert len({line.get_marker() for line in hollow}) == 3
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in hollow}) == 3


def test_each_size_has_its_own_panel():
    titles = [axes.get_title("left") for axes in alignment_modes.draw(MODES).axes]
    assert titles == [f"{place} dictionary" for place in MODES["histogram"]]


def test_both_trainings_are_drawn_in_both_panels():
    for axes in alignment_frequency.draw(FREQUENCY).axes:
        assert [line.get_label() for line in axes.lines] == ["long training", "short training"]
        assert axes.get_xscale() == "log"


def test_both_panels_have_the_line_of_equality():
    for axes in domains.draw(DOMAINS).axes:
        assert axes.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
