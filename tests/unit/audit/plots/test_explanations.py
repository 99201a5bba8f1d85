"""Figure of detection scores."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from audit.plots.language import explanations
from seedstability.report.figures import style


def curve(start, stop, count=10):
    value = np.linspace(start, stop, count)
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


DATA = {
    "share": {
        "edges": np.linspace(0.4, 1.0, 13),
        **{name: curve(0.2, 0.0, 12) for name in ("score", "random", "swapped")},
    },
    "alignment": {
        "alignment": np.linspace(0.2, 0.8, 10),
        "score": curve(0.6, 0.65),
        "strong": curve(0.7, 0.9),
    },
    "rate": {
        "log_rate": np.linspace(-2.7, -1.3, 10),
        "score": curve(0.65, 0.58),
        "random": curve(0.62, 0.6),
        "strong": curve(0.7, 0.8),
        "strong_random": curve(0.63, 0.7),
    },
}


@pytest.fixture(scope="module")
def drawn():
    figure = explanations.draw(DATA)
    figure.draw_without_rendering()
    return figure


def test_figure_is_as_wide_as_the_text_and_its_type_is_large_enough(drawn):
    assert drawn.get_figwidth() == pytest.approx(style.TEXT_WIDTH_INCHES)
    sizes = [text.get_fontsize() for text in drawn.findobj(Text) if text.get_text()]
    assert min(sizes) >= style.SMALLEST_TYPE


def test_no_label_is_cut(drawn):
    width, height = drawn.get_size_inches()
    inked = drawn.get_tightbbox(FigureCanvasAgg(drawn).get_renderer())
    assert inked.x0 >= 0
    assert inked.x1 <= width
    assert inked.y0 >= 0
    assert inked.y1 <= height


def test_series_differ_in_marker_and_line_and_chance_is_hollow():
    looks = {name: explanations._series_style(name) for name in explanations._SERIES}
    for part in ("marker", "color", "linestyle"):
        assert len({str(look[part]) for look in looks.values()}) == len(looks)
    hollow = {name for name, look in looks.items() if look["markerfacecolor"] == "white"}
    assert hollow == {"random", "strong_random", "swapped"}


def test_every_series_has_one_legend_entry(drawn):
    [legend] = drawn.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [label for label, *_ in explanations._SERIES.values()]


def test_scores_share_one_scale_and_rates_are_percentages(drawn):
    _, alignment, rate = drawn.axes
    assert alignment.get_ylim() == rate.get_ylim()
    assert rate.xaxis.get_major_formatter()(-2, 0) == "1%"


def test_few_bins_can_be_drawn():
    few = {
        name: {
            key: value[:3]
            if isinstance(value, np.ndarray)
            else {k: v[:3] for k, v in value.items()}
            for key, value in panel.items()
        }
        for name, panel in DATA.items()
        if name != "share"
    }
    explanations.draw({"share": DATA["share"], **few}).draw_without_rendering()
