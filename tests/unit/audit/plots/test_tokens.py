"""Figures of the sections on tokens and on many seeds."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from audit.plots.language import both_models, seeds, tokens
from seedstability.report.figures import marks, style

AT = np.array([1024.0, 8192.0, 32768.0, 131072.0, 524288.0, 1048576.0])
LEVELS = {"isotropic": 0.25, "untrained": 0.25, "data": 0.4, "gauge": 0.41}


def curve(top, at):
    value = np.linspace(0.3, top, len(at))
    kappa = (value - 0.25) / 0.75
    return {
        **{"value": value, "low": value - 0.02, "high": value + 0.02},
        **{
            f"kappa_{end}": kappa + by for end, by in (("value", 0), ("low", -0.02), ("high", 0.02))
        },
        **{name: np.full(len(at), level) for name, level in LEVELS.items()},
    }


def sweep(at=AT):
    both = {
        scope: {name: curve(top, at) for name in ("matched_median", "matched_mean")}
        for scope, top in (("live", 0.8), ("full", 0.7))
    }
    return {
        "at": at,
        "curves": both,
        "frequency_matched": curve(0.75, at),
        "explained_variance": np.linspace(0.3, 0.8, len(at)),
        "dead_fraction": np.linspace(0.4, 0.0, len(at)),
        "cosine_with_start": np.linspace(1.0, 0.3, len(at)),
    }


SIZES = np.array([128.0, 512.0, 1024.0, 4096.0])
AMOUNTS = {"equal_epochs": sweep(), "equal_seen": sweep(AT[[0, 2, 3, 4]])}
BY_SIZE = {"equal_tokens": sweep(SIZES), "equal_updates": sweep(SIZES)}
OTHERS = np.arange(1, 20)


def falling(start, end):
    return np.linspace(start, end, 19)


KIND = {
    "unshared": falling(40.0, 10.0),
    "unanimous": falling(60.0, 30.0),
    "stable": 35.0,
    "histogram": np.full(20, 5.0),
    "fitted": np.full(20, 5.0),
}
BAND = {"curve": falling(40.0, 12.0), "curve_low": falling(38, 5), "curve_high": falling(42, 19)}
SEEDS = {
    "votes": {
        "others": OTHERS,
        "found_live": KIND,
        "shared": KIND,
        "gauge_live": {"unshared": np.full(19, 99.0), "unanimous": np.zeros(19)},
    },
    "prediction": {"found_live": BAND, "shared": BAND},
    "report": {"curve": falling(47.0, 12.0)},
}
FIGURES = {"amounts": (tokens, AMOUNTS), "sizes": (tokens, BY_SIZE), "seeds": (seeds, SEEDS)}


@pytest.fixture(params=FIGURES, scope="module")
def drawn(request):
    module, data = FIGURES[request.param]
    figure = module.draw(data)
    figure.draw_without_rendering()
    return figure


def test_figures_are_as_wide_as_the_text_and_no_label_is_cut(drawn):
    width, height = drawn.get_size_inches()
    assert width == pytest.approx(style.TEXT_WIDTH_INCHES)
    inked = drawn.get_tightbbox(FigureCanvasAgg(drawn).get_renderer())
    assert inked.x0 >= 0
    assert inked.x1 <= width
    assert inked.y0 >= 0
    assert inked.y1 <= height


def test_no_type_is_too_small_to_read(drawn):
    texts = [text for text in drawn.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= style.SMALLEST_TYPE


@pytest.mark.parametrize("data", [AMOUNTS, BY_SIZE])
def test_tick_labels_do_not_touch(data):
    figure = tokens.draw(data)
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes[-2:]:
        boxes = [text.get_window_extent(renderer) for text in axes.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_each_column_is_a_sweep_with_its_title():
    titles = [axes.get_title("left") for axes in tokens.draw(AMOUNTS).axes[:2]]
    assert titles == ["equal passes over the tokens", "equal tokens seen"]
    titles = [axes.get_title("left") for axes in tokens.draw(BY_SIZE).axes[:2]]
    assert titles == ["equal tokens", "equal updates a latent"]


def test_all_chance_levels_are_drawn_hollow():
    top = tokens.draw(AMOUNTS).axes[0]
    drawn = {line.get_label(): line for line in top.lines}
    for name in marks.LEVELS.values():
        assert drawn[name].get_markerfacecolor() == "white"


def test_lines_of_one_panel_differ_without_color():
    figure = tokens.draw(AMOUNTS)
    for axes in (figure.axes[2], figure.axes[4]):
        lines = [line for line in axes.lines if len(line.get_xdata()) == len(AT)]
        looks = {line.get_marker() for line in lines if line.get_linestyle() != "None"}
        assert len(looks) >= 3


def test_predicted_and_reported_curves_are_drawn_with_the_observed():
    left = seeds.draw(SEEDS).axes[0]
    labels = {line.get_label() for line in left.lines}
    assert {"live, found: predicted", "shared: predicted", "fifth report"} <= labels
    assert len(left.collections) == 2


def test_fewer_seeds_than_the_reports_curve_can_be_drawn():
    whole = ("histogram", "fitted")

    def first(kind):
        return {
            name: value if name == "stable" else value[: 4 + (name in whole)]
            for name, value in kind.items()
        }

    votes = {name: first(kind) for name, kind in SEEDS["votes"].items() if name != "others"}
    few = {
        "votes": votes | {"others": OTHERS[:4]},
        "prediction": {kind: first(band) for kind, band in SEEDS["prediction"].items()},
        "report": SEEDS["report"],
    }
    assert seeds.draw(few).axes[0].get_xlim()[1] < 6


def test_both_models_share_an_axis_and_differ_in_more_than_color():
    ends = {"equal_epochs": AT, "equal_seen": AT[[0, 2, 3]], "equal_tokens": SIZES}
    data = {f"{m}_{name}": sweep(at) for m in ("small", "public") for name, at in ends.items()}
    drawn = both_models.draw(data)
    assert len(drawn.axes) == 3
    for axes, (name, at) in zip(drawn.axes, ends.items(), strict=True):
        lines = [line for line in axes.get_lines() if line.get_linestyle() != "None"]
        shown = [line for line in lines if len(line.get_xdata()) == len(at)]
        assert len({line.get_marker() for line in shown}) == 2
        assert len({line.get_linestyle() for line in shown}) == 2
        kappa = data[f"small_{name}"]["curves"]["live"]["matched_median"]["kappa_value"]
        assert any(np.array_equal(line.get_ydata(), kappa) for line in shown)
        assert axes.get_xscale() == "log"
    assert len({axes.get_ylim() for axes in drawn.axes}) == 1
    FigureCanvasAgg(drawn).draw()
    ticks = [text.get_text() for axes in drawn.axes for text in axes.get_xticklabels()]
    assert {"10k", "1M"} <= set(ticks)
