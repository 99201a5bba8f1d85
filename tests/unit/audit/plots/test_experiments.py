"""Figures of the sections on modular addition, on consistency training and on matching."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from audit.plots.addition import consistency, length, levels, sizes, trace
from audit.plots.chance import matching
from seedstability.report.figures import marks, style

ARMS = "topk_leaky, topk_clean, relu_leaky, relu_clean"
EPOCHS = np.array([5.0, 20.0, 200.0])


def curve(value, **chance):
    value = np.array(value, float)
    drawn = {name: np.full(len(value), level) for name, level in chance.items()}
    return {"value": value, "low": value - 0.01, "high": value + 0.01, **drawn}


FOUR = {"isotropic": 0.2988, "untrained": 0.2985, "data": 0.41, "gauge": 0.36}
LEVELS = {"arms": ARMS, **curve([0.302, 0.345, 0.300, 0.7], **FOUR)}
SIZES = {
    "size": np.array([16.0, 64.0, 4096.0]),
    "max_abs_cosine": curve([0.51, 0.3, 0.4], **FOUR),
    "matched_mean": curve([0.41, 0.2, 0.3], **FOUR),
    "explained_variance": np.array([0.5, 0.9, 0.95]),
}
LENGTH = {
    subject: {
        "epoch": EPOCHS,
        "max_abs_cosine": curve([0.3, 0.35, 0.5], isotropic=0.2988, data=0.4, gauge=0.38),
        "explained_variance": np.array([0.5, 0.9, 0.97]),
        "cosine_with_start": np.array([0.99, 0.9, 0.6]),
    }
    for subject in ("leaky", "clean")
}


def sweep(arms, variance=0.92):
    count = len(arms.split(", "))
    both = {who: curve(np.linspace(0.29, 0.6, count), gauge=0.29) for who in ("pair", "judge")}
    return {"figure": {"arms": arms, "explained_variance": np.full(count, variance), **both}}


SWEEPS = {"leaky": sweep("w0, w0_01, w0_1, w1, w10"), "clean": sweep("w0, w0_1, w1")}
TRACE = {
    "report": {
        "epoch": np.arange(11.0),
        "trace": np.linspace(0.2827, 0.2866, 11),
        "trace_own_pair": np.linspace(0.2825, 0.2868, 11),
        "max_cosine": {"isotropic": 0.2827, "data": 0.41, "gauge": 0.2861},
    },
    "reported_trace": {
        "epoch": np.arange(1.0, 11.0),
        "max_cosine": np.linspace(0.2838, 0.2864, 10),
    },
}
LATENTS = 1024.0 * 2 ** np.arange(8)


def cost(power, latents, scale):
    seconds = scale * 0.02 * (latents / 1024) ** power
    return {"latents": latents, "seconds": seconds, "peak_gb": 0.3 + latents / 1e5}


MATCHING = {
    "measured": {
        "ours": {
            kind: cost(2, LATENTS, scale)
            for kind, scale in (("random", 1.0), ("hubs", 1.2), ("shared", 0.8))
        },
        "scipy": {
            kind: cost(2.6, LATENTS[:4], scale)
            for kind, scale in (("random", 1.0), ("hubs", 1.2), ("shared", 0.8))
        },
    },
    "reported": {"latents": 131072.0, "seconds": 28800.0, "peak_gb": 300.0},
}
FIGURES = {
    "levels": (levels, LEVELS),
    "sizes": (sizes, SIZES),
    "length": (length, LENGTH),
    "consistency": (consistency, SWEEPS),
    "trace": (trace, TRACE),
    "matching": (matching, MATCHING),
}


@pytest.fixture(params=FIGURES, scope="module")
def drawn(request):
    module, data = FIGURES[request.param]
    figure = module.draw(data)
    figure.draw_without_rendering()
    return figure


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def test_figures_are_as_wide_as_the_text(drawn):
    assert drawn.get_figwidth() == pytest.approx(style.TEXT_WIDTH_INCHES)


def test_no_type_is_too_small_to_read(drawn):
    assert min(text.get_fontsize() for text in texts(drawn)) >= style.SMALLEST_TYPE


def test_no_label_is_cut(drawn):
    width, height = drawn.get_size_inches()
    inked = drawn.get_tightbbox(FigureCanvasAgg(drawn).get_renderer())
    assert inked.x0 >= 0
    assert inked.x1 <= width
    assert inked.y0 >= 0
    assert inked.y1 <= height


def test_levels_differ_in_marker_and_line():
    looks = [marks.trained_style(), *(marks.level_style(level) for level in marks.LEVELS)]
    for part in ("marker", "linestyle", "color"):
        assert len({look[part] for look in looks}) == len(looks)


def test_trained_marks_are_filled_and_chance_levels_hollow():
    assert "markerfacecolor" not in marks.trained_style()
    assert {marks.level_style(level)["markerfacecolor"] for level in marks.LEVELS} == {"white"}


def test_each_arm_has_its_own_panel():
    titles = [axes.get_title("left") for axes in levels.draw(LEVELS).axes]
    assert titles == [
        "TopK, leaky subject",
        "TopK, clean subject",
        "ReLU, leaky subject",
        "ReLU, clean subject",
    ]


def test_a_stem_leads_from_the_trained_value_to_each_level():
    panel = levels.draw(LEVELS).axes[0]
    stems = [collection.get_segments()[0][:, 0] for collection in panel.collections]
    np.testing.assert_allclose(stems, [(0.302, level) for level in FOUR.values()])


def test_printed_numbers_are_on_the_outer_side_of_their_stem():
    panel = levels.draw(LEVELS).axes[0]
    sides = {text.get_text(): text.get_horizontalalignment() for text in panel.texts}
    assert sides == {
        "0.302": "left", "0.299": "right", "0.298": "right", "0.410": "left", "0.360": "left"
    }  # fmt: skip


def test_weights_are_evenly_spaced_on_one_axis_for_both_subjects():
    strip = consistency.draw(SWEEPS).axes[3]
    assert list(strip.lines[0].get_xdata()) == [0, 2, 3]
    names = [text.get_text() for text in strip.get_xticklabels()]
    assert names == ["0", "0.01", "0.1", "1", "10"]


@pytest.mark.parametrize("variances", [(-0.6, 0.5), (0.5, -0.6)])
def test_negative_explained_variance_is_not_cut_off(variances):
    leaky, clean = (sweep("w0, w1", variance) for variance in variances)
    strip = consistency.draw({"leaky": leaky, "clean": clean}).axes[2]
    assert strip.get_ylim()[0] < -0.6
    assert strip.get_ylim()[1] > 1.0


def test_reported_trace_is_hollow():
    below = trace.draw(TRACE).axes[1]
    reported = next(line for line in below.lines if "printed" in str(line.get_label()))
    assert reported.get_markerfacecolor() == "none"
    np.testing.assert_array_equal(reported.get_ydata(), TRACE["reported_trace"]["max_cosine"])


def test_training_shorter_than_the_reports_can_be_drawn():
    short = {"epoch": np.arange(4.0), "trace": np.full(4, 0.21), "trace_own_pair": np.full(4, 0.2)}
    report = TRACE["report"] | short
    assert trace.draw(TRACE | {"report": report}).axes[1].get_xlim()[1] >= 10


def test_trained_curve_is_first_in_the_legend():
    _, labels = marks.legend_entries(sizes.draw(SIZES).axes[0])
    assert labels == ["trained", *marks.LEVELS.values()]


def test_solvers_differ_in_fill_and_kinds_in_marker():
    left = matching.draw(MATCHING).axes[0]
    ours, theirs = left.lines[0:6:2], left.lines[1:6:2]
    assert {line.get_markerfacecolor() for line in theirs} == {"white"}
    assert "white" not in {line.get_markerfacecolor() for line in ours}
    for solver in (ours, theirs):
        assert len({line.get_marker() for line in solver}) == 3


def test_reported_cost_is_one_point_in_both_panels():
    for axes, quantity in zip(matching.draw(MATCHING).axes, ("seconds", "peak_gb"), strict=True):
        point = axes.lines[-1]
        assert point.get_xydata().tolist() == [[131072.0, MATCHING["reported"][quantity]]]
        assert point.get_marker() not in {line.get_marker() for line in axes.lines[:-1]}


def test_largest_size_is_labeled_and_labels_do_not_touch():
    axes = matching.draw(MATCHING).axes[0]
    figure = axes.get_figure()
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    labels = [text for text in axes.get_xticklabels() if text.get_text()]
    assert "131,072" in {text.get_text() for text in labels}
    boxes = sorted((text.get_window_extent(renderer) for text in labels), key=lambda box: box.x0)
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
