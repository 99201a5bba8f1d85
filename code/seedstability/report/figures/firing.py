"""Figure: similarity by firing rate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from seedstability.report.figures import style


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Draw the median cosine with the best partner, and the number of latents, by firing rate.

    Args:
        data: `edges`, B + 1 logarithms to base ten of the firing rate; arrays of B values
            `median_cosine`, `low` and `high` (quartiles; None or NaN for an empty bin) and
            `count`; and `dead`, a mapping with `count` and `median_cosine` of the latents that
            never fire.

    Returns:
        The figure, two thirds of the text width: similarity above, numbers of latents below.
    """
    figure = style.page_figure(width=0.68, height=0.56)
    similarity, counts = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    edges = np.asarray(data["edges"], float)
    dead = data["dead"] or {"count": 0, "median_cosine": None}
    # One bin of space to the left of the rarest latents: zero has no logarithm.
    never = edges[0] - 1.2 * (edges[1] - edges[0])
    _similarity(similarity, edges, data)
    counts.stairs(data["count"], edges, fill=True, color="0.55")
    if dead["count"]:
        _dead(similarity, counts, never, dead, width=edges[1] - edges[0])
    counts.set_ylabel("latents")
    counts.set_ylim(bottom=0)
    counts.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    counts.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    counts.set_xlabel("share of samples on which it fires")
    _decades(counts, edges, never if dead["count"] else None)
    return figure


def _similarity(axes: Axes, edges: np.ndarray, data: Mapping[str, Any]) -> None:
    middle = (edges[:-1] + edges[1:]) / 2
    value, low, high = (np.array(data[name], float) for name in ("median_cosine", "low", "high"))
    look = style.SERIES[0]
    axes.fill_between(middle, low, high, color=look.color, alpha=0.25, linewidth=0)
    axes.plot(middle, value, color=look.color, marker=look.marker, linestyle=look.line)
    axes.set_ylabel("cosine with best partner")
    axes.set_title("median, and the middle half of the latents")
    axes.set_ylim(min(0.0, np.nanmin(low, initial=0.0)), 1.02)


def _dead(
    similarity: Axes, counts: Axes, place: float, dead: Mapping[str, Any], width: float
) -> None:
    look = style.SERIES[1]
    counts.bar([place], [dead["count"]], width=0.8 * width, color=look.color)
    if dead["median_cosine"] is not None:
        similarity.plot(
            [place],
            [dead["median_cosine"]],
            color=look.color,
            marker=look.marker,
            markerfacecolor="white",
            linestyle="none",
        )


def _decades(axes: Axes, edges: np.ndarray, never: float | None) -> None:
    """Label powers of ten, and the latents that never fire."""
    powers = np.arange(np.ceil(edges[0] - 1e-9), np.floor(edges[-1] + 1e-9) + 1)
    ticks = [*powers] if never is None else [never, *powers]
    names = [f"$10^{{{power:.0f}}}$" if power else "1" for power in powers]
    axes.set_xticks(ticks, names if never is None else ["never", *names])
