"""Time and memory of the assignment over the number of latents, ours and SciPy's."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from seedstability.report.figures import style

_KINDS = {"random": "unrelated", "hubs": "half shared, hubs", "shared": "all shared"}
_PANELS = {"seconds": "wall time (s)", "peak_gb": "peak memory (GiB)"}
_REPORTED = style.SERIES[6]


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot wall time and peak memory of two solvers on three kinds of dictionaries.

    Args:
        data: `measured`, which holds for each of `ours` and `scipy` a mapping from kind to a
            mapping with arrays of one value per size: `latents`, `seconds` and `peak_gb`; and
            `reported`, a report's figures for SciPy: `latents`, `seconds`, `peak_gb`.

    Returns:
        The figure, as wide as the text: one panel for time, one for memory, all axes logarithmic.
    """
    figure = style.page_figure(height=0.5)
    panels = figure.subplots(1, 2)
    for axes, (quantity, title) in zip(panels, _PANELS.items(), strict=True):
        for index, (kind, name) in enumerate(_KINDS.items()):
            ours, theirs = (data["measured"][solver][kind] for solver in ("ours", "scipy"))
            _curve(axes, ours, quantity, index, name)
            _curve(axes, theirs, quantity, index, f"{name}, SciPy", hollow=True)
        _reported(axes, data["reported"], quantity)
        axes.set_title(title)
        axes.set_xlabel("latents $n$")
        # Every other size from the largest down, since tick labels of all would touch.
        style.sizes_axis(axes, data["measured"]["ours"]["random"]["latents"][::-2])
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


def _curve(
    axes: Axes,
    curve: Mapping[str, Any],
    quantity: str,
    index: int,
    label: str,
    hollow: bool = False,
) -> None:
    look = style.series(index)
    axes.plot(
        curve["latents"],
        curve[quantity],
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        label=label,
        linewidth=0.8 if hollow else None,
        markerfacecolor="white" if hollow else look.color,
    )


def _reported(axes: Axes, point: Mapping[str, Any], quantity: str) -> None:
    axes.plot(
        [point["latents"]],
        [point[quantity]],
        color=_REPORTED.color,
        marker=_REPORTED.marker,
        linestyle="none",
        label="SciPy, as reported",
    )
