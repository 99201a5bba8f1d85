"""Similarity of four arms, each with its four chance levels."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

ARCHITECTURES = {"topk": "TopK", "relu": "ReLU"}
SUBJECTS = {"leaky": "leaky subject", "clean": "clean subject"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the mean max absolute cosine of trained dictionaries, and its distance from chance.

    Args:
        data: `arms`, the names of the four arms joined by `, `, each an architecture and a subject
            joined by `_`; and arrays of one value per arm: `value` with the ends of its interval,
            `low` and `high`, and the chance levels of `marks.LEVELS`.

    Returns:
        The figure, as wide as the text: one panel per arm, one row per level. A stem leads from the
        trained value to each level, to the right where chance is higher.
    """
    arms = data["arms"].split(", ")
    figure = style.page_figure(height=0.5)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for row, architecture in enumerate(ARCHITECTURES):
        for column, subject in enumerate(SUBJECTS):
            axes, arm = panels[row, column], arms.index(f"{architecture}_{subject}")
            numbers = {name: float(data[name][arm]) for name in ("value", "low", "high")}
            levels = {name: float(data[name][arm]) for name in marks.LEVELS}
            _panel(axes, numbers, levels)
            axes.set_title(f"{ARCHITECTURES[architecture]}, {SUBJECTS[subject]}")
    _limits(panels[0, 0], data)
    for axes in panels[1]:
        axes.set_xlabel("mean best absolute cosine")
    return figure


def _panel(axes: Axes, trained: Mapping[str, float], levels: Mapping[str, float]) -> None:
    look = marks.trained_style()
    value = trained["value"]
    axes.axvspan(trained["low"], trained["high"], color=look["color"], alpha=0.2, linewidth=0)
    axes.axvline(value, color=look["color"], linewidth=0.9)
    axes.plot(value, 0, markersize=8, **look)
    _print(axes, value, 0, right=True, weight="bold", far=9)
    for row, (name, level) in enumerate(levels.items(), start=1):
        look = marks.level_style(name)
        axes.hlines(row, value, level, color=look["color"], linewidth=1.6)
        axes.plot(level, row, markersize=6, **look)
        _print(axes, level, row, right=level >= value)
    axes.set_yticks(range(len(levels) + 1), ["trained", *marks.LEVELS.values()])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _print(axes: Axes, x: float, row: int, right: bool, far: int = 7, **look: Any) -> None:
    axes.annotate(
        f"{x:.3f}",
        (x, row),
        xytext=(far if right else -far, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=7,
        **look,
    )


def _limits(axes: Axes, data: Mapping[str, Any]) -> None:
    """Leave room for the printed numbers on both sides, and put the trained row on top."""
    every = [float(x) for name in ("value", *marks.LEVELS) for x in data[name]]
    room = 0.25 * (max(every) - min(every)) + 0.01
    axes.set_xlim(min(every) - room, max(every) + room)
    axes.set_ylim(len(marks.LEVELS) + 0.6, -0.6)
