"""What the consistency term does at each weight: to the pair it draws together, and to a judge."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_SUBJECTS = {"leaky": "leaky subject", "clean": "clean subject"}
_WHO = {
    "pair": ("the pair", style.SERIES[0]),
    "judge": ("pair and an independent third", style.SERIES[1]),
}
# Both gauge levels are nearly the same: side by side neither hides the other.
_ASIDE = 0.07


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Signed best cosine of the pair, and of the pair with a third dictionary, over the weight.

    Args:
        data: for each of `leaky` and `clean` a mapping with `figure` in it, which holds `arms`,
            their names joined by `, ` as in `w0_01` for a weight of 0.01; `explained_variance`, one
            value an arm; and for each of `pair` and `judge` a mapping with arrays of one value an
            arm: `value`, the ends `low` and `high` of its interval, and its `gauge` level.

    Returns:
        The figure, as wide as the text: a column a subject, the explained variance below.
    """
    curves = {subject: data[subject]["figure"] for subject in _SUBJECTS}
    weights = sorted({weight for curve in curves.values() for weight in _weights(curve)})
    figure = style.page_figure(height=0.62)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharex=True, sharey="row")
    for column, (subject, title) in enumerate(_SUBJECTS.items()):
        similarity, variance = grid[:, column]
        curve = curves[subject]
        # The weights are tried, not measured: equal steps, whatever lies between.
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
    for aside, (who, (name, look)) in zip((-_ASIDE, _ASIDE), _WHO.items(), strict=True):
        beside = [place + aside for place in places]
        drawn: dict[str, Any] = {"color": look.color, "marker": look.marker}
        marks.with_interval(axes, beside, curve[who], label=name, linestyle=look.line, **drawn)
        axes.plot(
            beside,
            curve[who]["gauge"],
            label=f"{name}, gauge-scrambled",
            linestyle=(0, (1, 1.5)),
            linewidth=0.9,
            markerfacecolor="white",
            **drawn,
        )
