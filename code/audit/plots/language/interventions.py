"""Stability under each intervention: between seeds, and to independent references."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import style

_COLUMNS = (
    ("kappa_gauge", "between seeds", style.SERIES[0]),
    ("judge", "with independent reference dictionaries", style.SERIES[1]),
)
_ASIDE = 0.17


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot κ between seeds, κ to independent references, and similarity to the planted truth.

    Args:
        data: in `figure` the names of R rows joined by `, ` at `names.quoted`, what the seeds of
            each share at `shared.quoted`, the rows' own names at `rows.quoted`, all in the order
            shown; and for `kappa_gauge`, `judge`, `truth` and `start_kappa`, the last before
            training, arrays [R] of `value`, `low` and `high`, in the order of `declared.quoted`.

    Returns:
        The figure, as wide as the text: one row per intervention. Rows whose seeds share
        information are shaded and labeled; dotted lines show the plain row's values.
    """
    figure_data = _in_shown_order(data["figure"])
    names = figure_data["names"]["quoted"].split(", ")
    shared = figure_data["shared"]["quoted"].split(", ")
    plain = figure_data["rows"]["quoted"].split(", ").index("plain")
    figure = style.page_figure(height=0.22 + 0.034 * len(names))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1))
    places = np.arange(len(names))
    for axes in (left, right):
        for place, what in zip(places, shared, strict=True):
            if what != "nothing":
                axes.axhspan(place - 0.5, place + 0.5, color="0.92", linewidth=0, zorder=0)
    for aside, (column, label, look) in zip((-_ASIDE, _ASIDE), _COLUMNS, strict=True):
        _dots(left, places + aside, figure_data[column], look, label, plain)
    left.plot(
        np.asarray(figure_data["start_kappa"]["value"]),
        places - _ASIDE,
        label="between seeds, before training",
        color=_COLUMNS[0][2].color,
        marker=_COLUMNS[0][2].marker,
        markerfacecolor="white",
        markersize=4,
        linestyle="none",
        zorder=2,
    )
    _dots(right, places, figure_data["truth"], style.SERIES[2], "planted truth", plain)
    left.axvline(0, color=style.CHANCE_COLOR, linewidth=0.9)
    left.annotate(
        "chance",
        (0, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=7,
        color=style.CHANCE_COLOR,
    )
    labels = [
        name if what in ("nothing", "partners") or what in name else f"{name} ({what})"
        for name, what in zip(names, shared, strict=True)
    ]
    left.set_yticks(places, [label.replace(";", ",") for label in labels])
    left.set_ylim(len(names) - 0.4, -0.6)
    left.set_xlabel(r"$\kappa$ over the gauge level, language model")
    right.set_xlabel("best cosine of\na planted direction")
    right.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _in_shown_order(data: Mapping[str, Any]) -> dict[str, Any]:
    declared = data["declared"]["quoted"].split(", ")
    order = [declared.index(row) for row in data["rows"]["quoted"].split(", ")]
    return {
        name: node
        if "quoted" in node
        else {end: np.asarray(values)[order] for end, values in node.items()}
        for name, node in data.items()
    }


def _dots(
    axes: Axes, places: Any, column: Mapping[str, Any], look: style.Series, label: str, plain: int
) -> None:
    value, low, high = (np.asarray(column[part]) for part in ("value", "low", "high"))
    # Separate rounding can put an end of a tiny interval on the wrong side of its value.
    axes.errorbar(
        value,
        places,
        xerr=((value - low).clip(min=0), (high - value).clip(min=0)),
        color=look.color,
        marker=look.marker,
        linestyle="none",
        markersize=4,
        elinewidth=0.8,
        capsize=1.5,
        label=label,
        zorder=3,
    )
    axes.axvline(value[plain], color=look.color, linestyle=(0, (1, 2)), linewidth=0.8, zorder=1)
