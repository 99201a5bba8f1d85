"""Shares of latents that two seeds share, over sizes, as the fifth report counts them."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_COUNTS = {
    "agreeing": "assignments agree",
    "shared_decoder_only": "decoder's cosine above 0.7",
    "shared": "shared",
}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot shares of latents and the mean matched cosine over sizes, with the gauge level.

    Args:
        data: `size`, an array of N numbers of latents; for each of `agreeing`, `shared`,
            `shared_decoder_only` (percent) and `matched_mean` a mapping with arrays of N values:
            `value`, the ends `low` and `high` of its interval, `gauge`, and `live`, over live
            latents alone; `explained_variance`, and `dead_fraction` in percent.

    Returns:
        The figure, as wide as the text: shares, cosine, explained variance, and dead latents.
    """
    figure = style.page_figure(height=0.62)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharex="col")
    sizes = data["size"]
    _shares(grid[0, 0], sizes, data)
    _cosine(grid[0, 1], sizes, data["matched_mean"])
    variance = grid[1, 0]
    marks.explained_variance(variance, sizes, data["explained_variance"])
    variance.set_ylabel("explained\nvariance")
    _dead(grid[1, 1], sizes, data["dead_fraction"])
    for axes in grid.flat:
        style.sizes_axis(axes, sizes)
    for axes in grid[1]:
        axes.set_xlabel("latents $n$")
    grid[0, 0].legend(*marks.legend_entries(grid[0, 0]), loc="upper right")
    # The lowest curve lies far above zero, so the legend fits below it.
    grid[0, 1].legend(*marks.legend_entries(grid[0, 1]), loc="lower left")
    return figure


def _shares(axes: Axes, sizes: Any, data: Mapping[str, Any]) -> None:
    for index, (count, name) in enumerate(_COUNTS.items()):
        look = style.series(index)
        drawn = {"color": look.color, "marker": look.marker, "linestyle": look.line}
        marks.with_interval(axes, sizes, data[count], label=name, **drawn)
        axes.plot(sizes, data[count]["gauge"], markerfacecolor="white", linewidth=0.7, **drawn)
    axes.set_title("share of latents (%), hollow: gauge")
    axes.set_ylim(0, 100)


def _cosine(axes: Axes, sizes: Any, curve: Mapping[str, Any]) -> None:
    marks.with_interval(axes, sizes, curve, label="matched cosine", **marks.trained_style())
    live = style.series(5)
    axes.plot(
        sizes,
        curve["live"],
        label="the same, latents that fire",
        color=live.color,
        marker=live.marker,
        linestyle=live.line,
    )
    axes.plot(sizes, curve["gauge"], label=marks.LEVELS["gauge"], **marks.level_style("gauge"))
    axes.set_title("mean cosine of matched latents")
    marks.start_at_zero(axes)


def _dead(axes: Axes, sizes: Any, shares: Any) -> None:
    axes.plot(sizes, shares, color="0.25", marker="x", linewidth=1.0)
    axes.set_ylabel("never\nfire (%)")
    marks.start_at_zero(axes)
