"""Styles of trained dictionaries and of chance levels, the same in every figure.

Trained dictionaries are solid and filled. Each chance level is hollow, with its own marker and
line.
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
"""Names of the four chance levels in figures, weakest first."""

_TRAINED = style.SERIES[0]
_LOOKS = {
    "isotropic": style.SERIES[6],
    "untrained": style.SERIES[3],
    "data": style.SERIES[2],
    "gauge": style.SERIES[1],
}


def trained_style() -> dict[str, Any]:
    """Color, marker and line of trained dictionaries."""
    return {"color": _TRAINED.color, "marker": _TRAINED.marker, "linestyle": _TRAINED.line}


def level_style(level: str) -> dict[str, Any]:
    """Color, marker and line of a chance level."""
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
    """Draw a curve with its interval, from `value`, `low` and `high` at each x."""
    middle, low, high = curve[value], curve["low"], curve["high"]
    # Separate rounding can put an end of a tiny interval on the wrong side.
    below, above = (middle - low).clip(min=0), (high - middle).clip(min=0)
    axes.errorbar(x, middle, yerr=(below, above), elinewidth=0.9, capsize=2, zorder=3, **look)


def start_at_zero(axes: Axes) -> None:
    """Start the y axis at zero, or lower if there are negative values."""
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


def explained_variance(axes: Axes, x: Sequence[float], values: Any, **look: Any) -> None:
    """Draw the explained variance, which every similarity should be read with."""
    axes.plot(x, values, color="0.25", marker="P", linewidth=1.0, **look)
    # Room for 0 to 1, and for negative values, on all panels that share the axis.
    axes.update_datalim([(x[0], 0.0), (x[0], 1.0)])
    axes.autoscale_view()


def legend_entries(*panels: Axes) -> tuple[list[Any], list[str]]:
    """Handles and labels for one legend over panels, in drawing order."""
    drawn = [_entries(axes) for axes in panels]
    handles = [handle for found, _ in drawn for handle in found]
    return handles, [label for _, found in drawn for label in found]


def _entries(axes: Axes) -> tuple[list[Any], list[str]]:
    # matplotlib lists series with intervals last; here they are the trained ones and come first.
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(handles)), key=lambda i: isinstance(handles[i], Line2D))
    return [handles[i] for i in order], [labels[i] for i in order]
