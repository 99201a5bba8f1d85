"""Similarity of pairs, and to independent references, over the weight of the consistency term."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_SUBJECTS = {"leaky": "leaky subject", "clean": "clean subject"}
_TARGETS = {
    "pair": ("the pair", style.SERIES[0]),
    "judge": ("pair and an independent third", style.SERIES[1]),
}
# Both gauge levels are nearly equal; the offset keeps one from hiding the other.
_OFFSET = 0.07


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the signed max cosine of a pair, and of the pair with a third dictionary, over weights.

    Args:
        data: for each of `leaky` and `clean` a mapping with `figure` in it, which holds `arms`,
            their names joined by `, ` as in `w0_01` for a weight of 0.01; `explained_variance`, one
            value per arm; and for each of `pair` and `judge` a mapping with arrays of one value per
            arm: `value`, the ends `low` and `high` of its interval, and its `gauge` level.

    Returns:
        The figure, as wide as the text: one column per subject, the explained variance below.
    """
    curves = {subject: data[subject]["figure"] for subject in _SUBJECTS}
    weights = sorted({weight for curve in curves.values() for weight in _weights(curve)})
    figure = style.page_figure(height=0.62)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharex=True, sharey="row")
    for column, (subject, title) in enumerate(_SUBJECTS.items()):
        similarity, variance = grid[:, column]
        curve = curves[subject]
        # Weights are levels of a factor, so they are spaced evenly.
        places = [weights.index(weight) for weight in _weights(curve)]
        _panel(similarity, places, curve)
        similarity.set_title(title)
        marks.explained_variance(variance, places, curve["explained_variance"])
        variance.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
        variance.set_xlabel(r"weight $\lambda$")
    grid[0, 0].set_xlim(-0.3, len(weights) - 0.7)
    grid[0, 0].set_ylabel("signed best cosine")
    grid[1, 0].set_ylabel("explained\nvariance")
    marks.start_at_zero(grid[0, 0])
    figure.legend(*marks.legend_entries(grid[0, 0]), loc="outside upper left", ncols=2)
    return figure


def _weights(curve: Mapping[str, Any]) -> list[float]:
    return [float(arm.removeprefix("w").replace("_", ".")) for arm in curve["arms"].split(", ")]


def _panel(axes: Axes, places: list[int], curve: Mapping[str, Any]) -> None:
    for offset, (target, (name, look)) in zip((-_OFFSET, _OFFSET), _TARGETS.items(), strict=True):
        shifted = [place + offset for place in places]
        drawn: dict[str, Any] = {"color": look.color, "marker": look.marker}
        marks.with_interval(axes, shifted, curve[target], label=name, linestyle=look.line, **drawn)
        axes.plot(
            shifted,
            curve[target]["gauge"],
            label=f"{name}, gauge-scrambled",
            linestyle=(0, (1, 1.5)),
            linewidth=0.9,
            markerfacecolor="white",
            **drawn,
        )
