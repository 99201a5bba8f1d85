"""Figure: recurrence of latents in other seeds, as a histogram and by threshold."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seedstability.report.figures import marks, style


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Draw a histogram of recurrence counts, and the mean recurrence rate by threshold.

    Args:
        data: `counts` (of other seeds) and `share` (of latents), arrays of S values each; their
            `threshold`; `thresholds`, T cosines; arrays of T values `mean`, `low` and `high` (the
            ends may be None); and `chance`, a mapping from level to T values or None each.

    Returns:
        The figure, two thirds of the text width: counts on the left, thresholds on the right.
    """
    figure = style.page_figure(width=0.68, height=0.42)
    counts, thresholds = figure.subplots(1, 2)
    _counts(counts, data)
    _thresholds(thresholds, data)
    figure.legend(*marks.legend_entries(thresholds), loc="outside upper left", ncols=2)
    return figure


def _counts(axes: Axes, data: Mapping[str, Any]) -> None:
    axes.bar(data["counts"], data["share"], width=0.8, color=style.SERIES[0].color)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.set_xlabel("other dictionaries in which it recurs")
    axes.set_ylabel("share of latents")
    axes.set_title(f"at cosine ≥ {data['threshold']:g}")


def _thresholds(axes: Axes, data: Mapping[str, Any]) -> None:
    # Thresholds are categories: equal steps.
    places = range(len(data["thresholds"]))
    ours = marks.trained_style()
    axes.plot(places, data["mean"], label="these dictionaries", zorder=3, **ours)
    for place, low, high in zip(places, data["low"], data["high"], strict=True):
        if low is not None and high is not None:
            axes.vlines(place, low, high, color=ours["color"], linewidth=1.0)
    for level, values in data["chance"].items():
        known = [(x, y) for x, y in zip(places, values, strict=True) if y is not None]
        if known:
            axes.plot(
                *zip(*known, strict=True), label=marks.LEVELS[level], **marks.level_style(level)
            )
    axes.set_xticks(places, [f"{threshold:g}" for threshold in data["thresholds"]])
    axes.set_xlim(-0.3, len(places) - 0.7)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("cosine threshold")
    axes.set_ylabel("mean recurrence rate")
    axes.set_title("by threshold")
