import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation, Text

from audit.plots.chance import closed_form, falling_rank, headline
from seedstability.report.figures import style

SIZES = np.array([16, 64, 256])
CURVE = {"closed": SIZES / 1000, "drawn": SIZES / 1000, "drawn_sd": np.full(3, 0.01)}
FORMS = {"width32": CURVE, "width128": CURVE}


def points() -> dict:
    """Points as crowded as the reports' own figures."""
    places = [(0.283, 0.286), (0.2988, 0.302), (0.2988, 0.300), (0.254, 0.258), (0.088, 0.095),
              (0.088, 0.208), (0.07, 0.5), (0.083, 0.323), (0.097, 0.257), (0.15, 0.6)]  # fmt: skip
    return {
        f"p{index}": {"chance": x, "reported": y, "report": f"report {index // 3}",
                      "what": f"a figure, number {index}",
                      "chance_is": "upper bound" if index == 9 else "drawn"}
        for index, (x, y) in enumerate(places)
    }  # fmt: skip


FIGURES = {
    "headline": (headline, points()),
    "closed_form": (
        closed_form,
        {"sizes": SIZES, "max_cosine": FORMS, "max_abs_cosine": FORMS},
    ),
    "falling_rank": (
        falling_rank,
        dict.fromkeys(("isotropic_curve", "flat", "data", "gauge"), SIZES / 300)
        | {"rank": SIZES, "reproducibility": SIZES / 300},
    ),
}


@pytest.fixture(params=FIGURES, scope="module")
def drawn(request):
    module, data = FIGURES[request.param]
    return module.draw(data)


def test_figures_are_as_wide_as_the_text(drawn):
    assert drawn.get_figwidth() == pytest.approx(style.TEXT_WIDTH_INCHES)


def test_no_type_is_too_small_to_read(drawn):
    drawn.draw_without_rendering()
    sizes = [text.get_fontsize() for text in drawn.findobj(Text) if text.get_text()]
    assert min(sizes) >= style.SMALLEST_TYPE


def test_global_settings_of_matplotlib_stay_unchanged(drawn):
    assert matplotlib.rcParams["font.size"] == matplotlib.rcParamsDefault["font.size"]


def test_font_is_the_one_of_matplotlib():
    path = font_manager.findfont(style.SETTINGS["font.family"])
    assert path.startswith(matplotlib.get_data_path())


@pytest.fixture(scope="module")
def axes():
    return headline.draw(points()).axes[0]


def test_labels_cover_no_label_and_no_point(axes):
    figure = axes.get_figure()
    renderer = FigureCanvasAgg(figure).get_renderer()
    what = [point["what"] for point in points().values()]
    labels = [t for t in axes.findobj(Annotation) if t.get_text() in what]
    boxes = [Text.get_window_extent(label, renderer) for label in labels]
    assert len(boxes) == len(points())
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    marks = [axes.transData.transform((p["chance"], p["reported"])) for p in points().values()]
    assert not any(box.contains(*mark) for box in boxes for mark in marks)


def test_bounded_chance_level_is_hollow(axes):
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert any(line.get_xdata() == [0.15] for line in hollow)


def test_points_are_at_chance_and_reported(axes):
    drawn = {(x[0], y[0]) for x, y in (line.get_data() for line in axes.lines) if len(x) == 1}
    assert drawn == {(p["chance"], p["reported"]) for p in points().values()}


def test_series_differ_without_color():
    assert len({each.marker for each in style.SERIES}) == len(style.SERIES)
    assert len({each.line for each in style.SERIES}) == len(style.SERIES)


def test_neighboring_series_differ_in_grayscale():
    light = [np.dot(to_rgb(each.color), (0.2126, 0.7152, 0.0722)) for each in style.SERIES]
    steps = np.abs(np.diff(light[:5]))
    assert steps.min() > 0.03
