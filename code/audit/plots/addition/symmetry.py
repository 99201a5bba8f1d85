"""Similarity of activation maps, by the transformations that the comparison allows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_ARMS = {
    "topk": "TopK",
    "relu": "ReLU",
    "literature": "literature's ReLU",
}
WAYS = (
    "each moved at random",
    "as they are",
    "one shift for all",
    "a shift for each",
    "shift and multiplication",
)
"""Transformations allowed, in the order of the arrays."""
_OFFSET = 0.2
_PHASE = style.SERIES[3]


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the mean best correlation of activation maps, with null levels of the same search.

    Args:
        data: for each of `topk`, `relu` and `literature` arrays over `WAYS`: `value`, the ends
            `low` and `high` of its interval, and the levels `gauge` and `phase`.

    Returns:
        The figure, as wide as the text: one panel per architecture, one row per way.
    """
    figure = style.page_figure(height=0.42)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (arm, title) in zip(panels, _ARMS.items(), strict=True):
        _panel(axes, data[arm])
        axes.set_title(title)
    panels[0].set_yticks(range(len(WAYS)), WAYS)
    panels[0].set_xlim(0.0, 1.02)
    panels[0].invert_yaxis()
    panels[1].set_xlabel("mean correlation of activation maps with the best partner")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure


def _panel(axes: Axes, arm: Mapping[str, Any]) -> None:
    rows = np.arange(len(WAYS))
    for row in rows.tolist():
        axes.axhline(row, color="0.9", linewidth=0.6, zorder=0)
    value = np.asarray(arm["value"])
    reach = [(value - arm["low"]).clip(min=0), (arm["high"] - value).clip(min=0)]
    trained = marks.trained_style() | {"linestyle": "none"}
    axes.errorbar(
        value,
        rows - _OFFSET,
        xerr=reach,
        label="another seed",
        elinewidth=0.9,
        capsize=2,
        **trained,
    )
    gauge = marks.level_style("gauge") | {"linestyle": "none"}
    axes.plot(arm["gauge"], rows, label=marks.LEVELS["gauge"], **gauge)
    axes.plot(
        arm["phase"],
        rows + _OFFSET,
        label="phase-scrambled",
        color=_PHASE.color,
        marker=_PHASE.marker,
        linestyle="none",
        markerfacecolor="white",
    )
