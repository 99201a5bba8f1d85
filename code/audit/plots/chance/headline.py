"""The reports' headline figures over the chance levels of their statistics."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Annotation

from audit.plots.chance.labels import label_points
from seedstability.report.figures import style


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot reported similarity (y) over the chance level of the same statistic and sizes (x).

    Args:
        data: each branch is one point, a mapping with `reported` and `chance` (numbers), `report`
            (decides the mark), `what` (the label) and `chance_is`, which is `upper bound` where the
            chance level is only bounded from above; such a point is drawn hollow. Leaves beside the
            branches are not used.

    Returns:
        The figure, as wide as the text.
    """
    points = [branch for branch in data.values() if isinstance(branch, Mapping)]
    figure = style.page_figure(height=0.6)
    axes = figure.subplots()
    reports = list(dict.fromkeys(point["report"] for point in points))
    for index, report in enumerate(reports):
        _scatter(axes, [point for point in points if point["report"] == report], index, report)
    right = 1.3 * max(point["chance"] for point in points)
    top = max(right, 1.12 * max(point["reported"] for point in points))
    axes.set(xlim=(0, right), ylim=(0, top))
    named = _diagonal(axes, min(right, top))
    axes.set_xlabel("chance level of the same statistic at the same sizes")
    axes.set_ylabel("similarity that was reported")
    legend = _legend(axes, hollow=any(_is_bound(point) for point in points))
    x, y, what = ([point[key] for point in points] for key in ("chance", "reported", "what"))
    stems = [((chance, chance), (chance, reported)) for chance, reported in zip(x, y, strict=True)]
    diagonal = ((0.0, 0.0), (right, right))
    label_points(axes, x, y, what, avoid=(legend, named), lines=[diagonal, *stems])
    return figure


def _scatter(axes: Axes, points: list, index: int, report: str) -> None:
    look = style.series(index)
    axes.plot([], [], look.marker, color=look.color, label=report)
    for point in points:
        # Only the part above the diagonal can be due to training.
        above = (point["chance"], point["reported"])
        axes.vlines(point["chance"], *above, color=look.color, linewidth=0.6, alpha=0.5)
        axes.plot(
            point["chance"],
            point["reported"],
            look.marker,
            color=look.color,
            markerfacecolor="white" if _is_bound(point) else look.color,
            zorder=3,
        )


def _is_bound(point: Mapping[str, Any]) -> bool:
    return point["chance_is"] == "upper bound"


def _diagonal(axes: Axes, end: float) -> Annotation:
    axes.plot([0, end], [0, end], color=style.CHANCE_COLOR, linewidth=1.0, zorder=1)
    axes.fill_between([0, end], [0, end], color=style.CHANCE_COLOR, alpha=0.12, linewidth=0)
    return axes.annotate(
        "no better than chance",
        (end, 0.0),
        xytext=(-4, 6),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=7,
        color=style.CHANCE_COLOR,
    )


def _legend(axes: Axes, hollow: bool) -> Legend:
    if hollow:
        axes.plot(
            [], [], "o", color="0.3", markerfacecolor="white", label="hollow: chance at most this"
        )
    return axes.legend(loc="upper right")
