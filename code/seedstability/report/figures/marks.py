"""How trained dictionaries and their chance levels are drawn, alike in every figure.

What was trained is solid and filled; a chance level is hollow, with a mark and a line of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from seedstability.report.figures import style

LEVELS = {
    "isotropic": "isotropic",
    "untrained": "untrained",
    "data": "data's covariance",
    "gauge": "gauge-scrambled",
}
"""The four chance levels, weakest first, as figures name them."""

_TRAINED = style.SERIES[0]
_LOOKS = {
    "isotropic": style.SERIES[6],
    "untrained": style.SERIES[3],
    "data": style.SERIES[2],
    "gauge": style.SERIES[1],
}


def trained_style() -> dict[str, Any]:
    """Color, mark and line of what was trained."""
    return {"color": _TRAINED.color, "marker": _TRAINED.marker, "linestyle": _TRAINED.line}


def level_style(level: str) -> dict[str, Any]:
    """Color, mark and line of a chance level."""
    look = _LOOKS[level]
    return {
        "color": look.color,
        "marker": look.marker,
        "linestyle": look.line,
        "markerfacecolor": "white",
    }


def with_interval(
    axes: Axes, x: Sequence[float], curve: Mapping[str, Any], value: str = "value", **look: Any
) -> None:
    """A curve with its interval, from `value`, `low` and `high` at each x."""
    middle, low, high = curve[value], curve["low"], curve["high"]
    # Rounding each by itself can put an end of a tiny interval on the wrong side.
    below, above = (middle - low).clip(min=0), (high - middle).clip(min=0)
    axes.errorbar(x, middle, yerr=(below, above), elinewidth=0.9, capsize=2, zorder=3, **look)


def start_at_zero(axes: Axes) -> None:
    """Let the y axis begin at zero, or below it where there is something below."""
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


def explained_variance(axes: Axes, x: Sequence[float], values: Any, **look: Any) -> None:
    """A strip with the explained variance, which no similarity should be read without."""
    axes.plot(x, values, color="0.25", marker="P", linewidth=1.0, **look)
    # Room for all from none to whole, and for less than none, on all panels that share the axis.
    axes.update_datalim([(x[0], 0.0), (x[0], 1.0)])
    axes.autoscale_view()


def legend_entries(*panels: Axes) -> tuple[list[Any], list[str]]:
    """Handles and labels for one legend over panels, in the order in which they were drawn."""
    drawn = [_entries(axes) for axes in panels]
    handles = [handle for found, _ in drawn for handle in found]
    return handles, [label for _, found in drawn for label in found]


def _entries(axes: Axes) -> tuple[list[Any], list[str]]:
    # matplotlib lists what has intervals last; here it is what was trained, and comes first.
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(handles)), key=lambda i: isinstance(handles[i], Line2D))
    return [handles[i] for i in order], [labels[i] for i in order]
