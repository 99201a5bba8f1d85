"""Stability over explained variance of pooled dictionaries and baselines, one point per arm."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import style

_ARMS = (
    "one seed",
    "one seed, as many steps",
    "latents drawn, trained on",
    "mean of matched, trained on",
    "votes, not trained on",
    "votes, trained on",
)
"""Labels of the arms, in the order of the arrays."""
_PANELS = {"language": "language model", "planted": "planted truth"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot κ of the matched cosine over explained variance, on both subjects.

    Args:
        data: for each of `language` and `planted` a mapping `figure` with arrays over the arms:
            `kappa` with its interval `low` and `high`, and `explained_variance`.

    Returns:
        The figure, as wide as the text: one panel per subject. Chance, at zero, lies far below.
    """
    figure = style.page_figure(height=0.46)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (subject, title) in zip(panels, _PANELS.items(), strict=True):
        _panel(axes, data[subject]["figure"])
        axes.set_title(title)
        axes.set_xlabel("explained variance, held out")
        axes.margins(0.08)
    panels[0].set_ylabel(r"$\kappa$ of the matched cosine (gauge)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure


def _panel(axes: Axes, points: Mapping[str, Any]) -> None:
    for i, (name, look) in enumerate(zip(_ARMS, style.SERIES, strict=False)):
        middle = points["kappa"][i]
        # Separate rounding can put an end of a tiny interval on the wrong side of its value.
        below, above = max(0, middle - points["low"][i]), max(0, points["high"][i] - middle)
        axes.errorbar(
            points["explained_variance"][i],
            middle,
            yerr=[[below], [above]],
            color=look.color,
            marker=look.marker,
            linestyle="none",
            capsize=2,
            label=name,
        )
