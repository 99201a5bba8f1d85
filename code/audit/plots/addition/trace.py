"""The first report's similarity over training, with chance levels."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seedstability.report.figures import marks, style


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the signed max cosine of a pair over epochs, from initialization on.

    Args:
        data: `report` with arrays of T values: `epoch`, from 0; `trace`, the mean over pairs, and
            `trace_own_pair`, the report's own pair of seeds; and in `max_cosine` the levels
            `isotropic`, `data` and `gauge` at the end. `reported_trace` with arrays `epoch` and
            `max_cosine`, as the report prints them.

    Returns:
        The figure, as wide as the text. The level of the data lies far above the trace, and has a
        panel of its own.
    """
    ours, theirs = data["report"], data["reported_trace"]
    levels = ours["max_cosine"]
    figure = style.page_figure(height=0.5)
    above, axes = figure.subplots(2, 1, height_ratios=(1, 4), sharex=True)
    epochs = ours["epoch"]
    axes.plot(epochs, ours["trace"], label="mean over pairs", **marks.trained_style())
    axes.plot(
        epochs,
        ours["trace_own_pair"],
        label="the report's pair, ours",
        color=style.SERIES[5].color,
        marker=style.SERIES[5].marker,
        linestyle=style.SERIES[5].line,
        linewidth=0.9,
    )
    axes.plot(
        theirs["epoch"],
        theirs["max_cosine"],
        label="the report's pair, as printed",
        color=style.SERIES[4].color,
        marker="o",
        markersize=7,
        markerfacecolor="none",
        markeredgewidth=1.3,
        linestyle="none",
        zorder=3,
    )
    ends = epochs[[0, -1]]
    for panel, level in ((axes, "isotropic"), (above, "data")):
        panel.plot(ends, [levels[level]] * 2, label=marks.LEVELS[level], **marks.level_style(level))
    # The gauge level depends on the dictionaries and was drawn at the end only.
    gauge = marks.level_style("gauge") | {"linestyle": "none"}
    axes.plot(ends[1:], levels["gauge"], label="gauge-scrambled, at the end", zorder=4, **gauge)
    axes.set(xlabel="epochs", ylabel="signed best cosine")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _break(above, axes, levels["data"])
    figure.legend(*marks.legend_entries(axes, above), loc="outside upper left", ncols=3)
    return figure


def _break(above: Axes, below: Axes, height: float) -> None:
    """Mark the break between the axes of the two panels."""
    above.set(ylim=(height - 0.01, height + 0.01), yticks=[height], yticklabels=[f"{height:.3f}"])
    above.spines["bottom"].set_visible(False)
    above.tick_params(axis="x", length=0)
    cut: Any = {"marker": [(-1, -0.5), (1, 0.5)], "markersize": 7, "color": "k", "clip_on": False}
    above.plot([0], [0], transform=above.transAxes, **cut)
    below.plot([0], [1], transform=below.transAxes, **cut)
