"""Similarity over one long training, with chance levels that change with the dictionaries."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_SUBJECTS = {"leaky": "leaky subject", "clean": "clean subject"}
_LEVELS = ("isotropic", "data", "gauge")


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the max absolute cosine over epochs with three chance levels, and training progress.

    Args:
        data: for each of `leaky` and `clean` a mapping with arrays of T values: `epoch`,
            `explained_variance`, `cosine_with_start`, and within `max_abs_cosine` the trained
            `value`, its ends `low` and `high`, and the levels `isotropic`, `data` and `gauge`.

    Returns:
        The figure, as wide as the text: one column per subject; below, the explained variance and
        the mean cosine to initialization.
    """
    figure = style.page_figure(height=0.6)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharex="col", sharey="row")
    for column, (subject, title) in enumerate(_SUBJECTS.items()):
        similarity, variance = grid[:, column]
        curves = data[subject]
        _panel(similarity, curves["epoch"], curves["max_abs_cosine"])
        similarity.set_title(title)
        _strip(variance, curves)
        style.sizes_axis(variance, curves["epoch"])
    grid[0, 0].set_ylabel("mean best absolute cosine")
    marks.start_at_zero(grid[0, 0])
    figure.legend(*marks.legend_entries(*grid[:, 0]), loc="outside upper left", ncols=3)
    return figure


def _panel(axes: Axes, epochs: Any, curve: Mapping[str, Any]) -> None:
    marks.with_interval(axes, epochs, curve, label="trained", **marks.trained_style())
    for level in _LEVELS:
        axes.plot(epochs, curve[level], label=marks.LEVELS[level], **marks.level_style(level))


def _strip(axes: Axes, curves: Mapping[str, Any]) -> None:
    axes.plot(
        curves["epoch"],
        curves["cosine_with_start"],
        label="cosine to initialization",
        color=style.SERIES[5].color,
        marker="v",
        linestyle=style.SERIES[5].line,
    )
    marks.explained_variance(
        axes, curves["epoch"], curves["explained_variance"], label="explained variance"
    )
    axes.set_xlabel("epochs")
