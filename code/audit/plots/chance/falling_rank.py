"""Chance levels for data of low rank."""

from collections.abc import Mapping
from math import log2
from typing import Any

from matplotlib.figure import Figure

from seedstability.report.figures import style

_LEVELS = {
    "gauge": "gauge-scrambled, falling spectrum",
    "data": "data covariance, falling spectrum",
    "flat": "data covariance, flat spectrum",
    "isotropic_curve": "isotropic in the whole space",
}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the signed max cosine of unrelated dictionaries, and their p-hat, over the data's rank.

    Args:
        data: arrays of R values each: `rank`; the chance levels of `max_cosine` named
            `isotropic_curve`, `flat`, `data` and `gauge`; and `reproducibility`, the mean chance
            p-hat under a flat spectrum.

    Returns:
        The figure, as wide as the text: similarity on the left, reproducibility on the right.
    """
    figure = style.page_figure(height=0.46)
    similarity, reproducibility = figure.subplots(1, 2, width_ratios=(3, 2))
    for index, (name, label) in enumerate(_LEVELS.items()):
        look = style.series(index)
        similarity.plot(
            data["rank"],
            data[name],
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            # Two levels nearly coincide, so the second one's marks fit inside those of the first.
            markersize=8 if index == 0 else None,
            markerfacecolor="white" if index == 0 else look.color,
            label=label,
        )
    similarity.set_ylabel("chance level")
    figure.legend(loc="outside upper left", ncols=2)
    flat = style.series(list(_LEVELS).index("flat"))
    reproducibility.plot(
        data["rank"],
        data["reproducibility"],
        color=flat.color,
        linestyle=flat.line,
        marker=flat.marker,
    )
    reproducibility.set_ylabel(r"chance $\hat{p}$, flat spectrum")
    named = [rank for rank in data["rank"] if log2(rank).is_integer()]
    for axes in (similarity, reproducibility):
        style.sizes_axis(axes, named or data["rank"])
        axes.set_xlabel("rank of the data")
        axes.set_ylim(0, 1)
    return figure
