"""Unshared and unanimous latents over the number of other seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seedstability.report.figures import marks, style

_KINDS = {"found_live": ("live, found", 0), "shared": ("shared", 2)}
_REPORT = style.SERIES[6]


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot unshared latents with their prediction, stable latents, and recurrence with its law.

    Args:
        data: `votes` with `others` (M values) and, for each of `found_live`, `shared` and
            `gauge_live`, arrays of M values `unshared` and `unanimous` in percent, and for the
            first two `histogram` and `fitted` (M + 1 values) and `stable`, one number;
            `prediction` with, for the first two, `curve`, `curve_low` and `curve_high` (M values);
            and `report` with `curve` (M values).

    Returns:
        The figure, as wide as the text: three panels.
    """
    figure = style.page_figure(height=0.5)
    unshared, unanimous, histogram = figure.subplots(1, 3)
    recurrence, others = data["votes"], data["votes"]["others"]
    for kind, (name, index) in _KINDS.items():
        look = style.series(index)
        drawn = {"color": look.color, "marker": look.marker, "markersize": 3.5}
        band = data["prediction"][kind]
        unshared.fill_between(
            others, band["curve_low"], band["curve_high"], color=look.color, alpha=0.18, lw=0
        )
        unshared.plot(
            others,
            band["curve"],
            color=look.color,
            linestyle=(0, (2, 1.5)),
            label=f"{name}: predicted",
        )
        unshared.plot(others, recurrence[kind]["unshared"], label=name, linestyle="none", **drawn)
        unanimous.plot(others, recurrence[kind]["unanimous"], linestyle=look.line, **drawn)
        unanimous.axhline(recurrence[kind]["stable"], color=look.color, linestyle=(0, (1, 1)))
    _chance(unshared, others, recurrence["gauge_live"]["unshared"], "live, found by chance")
    _chance(unanimous, others, recurrence["gauge_live"]["unanimous"], "")
    unshared.plot(
        others[: len(data["report"]["curve"])],
        data["report"]["curve"][: len(others)],
        color=_REPORT.color,
        linestyle=_REPORT.line,
        label="fifth report",
    )
    _histogram(histogram, recurrence["found_live"])
    for axes, title in ((unshared, "in no other seed"), (unanimous, "in all other seeds")):
        axes.set_title(title)
        axes.set_xlabel("other seeds")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    unshared.set_ylim(-3, 103)
    unanimous.set_ylim(bottom=-0.04 * unanimous.get_ylim()[1])
    unshared.set_ylabel("latents (%)")
    figure.legend(*marks.legend_entries(unshared, histogram), loc="outside upper left", ncols=4)
    return figure


def _chance(axes: Axes, others: Any, values: Any, label: str) -> None:
    look = marks.level_style("gauge")
    axes.plot(others, values, label=label or None, markersize=3.5, **look)


def _histogram(axes: Axes, recurrence: Mapping[str, Any]) -> None:
    bins = np.arange(len(recurrence["histogram"]))
    look = style.series(0)
    axes.bar(bins, recurrence["histogram"], width=0.8, color=look.color, alpha=0.55)
    axes.plot(
        bins, recurrence["fitted"], color="black", marker="_", linestyle="none", label="fitted law"
    )
    axes.set_title("live latents by recurrence")
    axes.set_xlabel("other seeds that have it")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
