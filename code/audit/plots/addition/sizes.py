"""Similarity over the number of latents, with chance levels that grow with it."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_STATISTICS = {"max_abs_cosine": "best absolute cosine", "matched_mean": "one-to-one, mean cosine"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot two similarities of trained dictionaries over their size, and the explained variance.

    Args:
        data: `size`, an array of N numbers of latents; for each of `max_abs_cosine` and
            `matched_mean` a mapping with arrays of N values: `value`, the ends `low` and `high`
            of its interval, and the chance levels of `marks.LEVELS`; and `explained_variance`.

    Returns:
        The figure, as wide as the text: one panel per statistic, the explained variance below.
    """
    figure = style.page_figure(height=0.6)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharey="row")
    sizes = data["size"]
    for axes, (statistic, title) in zip(grid[0], _STATISTICS.items(), strict=True):
        _panel(axes, sizes, data[statistic])
        axes.set_title(title)
    grid[0, 0].set_ylabel("similarity")
    marks.start_at_zero(grid[0, 0])
    variance, legend = grid[1]
    marks.explained_variance(variance, sizes, data["explained_variance"])
    variance.set_ylabel("explained\nvariance")
    for axes in (*grid[0], variance):
        style.sizes_axis(axes, sizes)
    for axes in (grid[0, 1], variance):
        axes.set_xlabel("latents $n$")
    legend.axis("off")
    legend.legend(*marks.legend_entries(grid[0, 0]), loc="center", ncols=2)
    return figure


def _panel(axes: Axes, sizes: Any, curve: Mapping[str, Any]) -> None:
    marks.with_interval(axes, sizes, curve, label="trained", **marks.trained_style())
    for level, name in marks.LEVELS.items():
        axes.plot(sizes, curve[level], label=name, **marks.level_style(level))
