"""Stability over tokens and over sizes, on the small and on the public language model."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from audit.plots.language.tokens import short_count
from seedstability.report.figures import marks, style

_PANELS = {
    "equal_epochs": ("equal passes", "distinct tokens"),
    "equal_seen": ("equal tokens seen", "distinct tokens"),
    "equal_tokens": ("equal tokens", "latents $n$"),
}
_MODELS = {"small": "small model", "public": "public model"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot κ of the live median against the gauge level, one line a model.

    Args:
        data: sweeps by model and name, such as `small_equal_epochs` and `public_equal_tokens`.
            Each has `at`, N values of the factor, and in `curves`, `live`, `matched_median` the
            arrays `kappa_value`, `kappa_low` and `kappa_high` of N values.

    Returns:
        The figure, as wide as the text: one column per sweep.
    """
    figure = style.page_figure(height=0.36)
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (name, (title, factor)) in zip(panels, _PANELS.items(), strict=True):
        for index, (model, label) in enumerate(_MODELS.items()):
            _line(axes, data[f"{model}_{name}"], label, index)
        axes.set_title(title)
        axes.set_xlabel(factor)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        axes.axhline(0.0, color="0.6", linewidth=0.6)
    panels[0].set_ylabel("κ of the live median\nagainst the gauge level")
    figure.legend(*marks.legend_entries(panels[0]), loc="outside upper left", ncols=2)
    return figure


def _line(axes: Axes, sweep: Mapping[str, Any], label: str, index: int) -> None:
    curve = sweep["curves"]["live"]["matched_median"]
    look = style.series((0, 4)[index])
    ends = {end: curve[f"kappa_{end}"] for end in ("value", "low", "high")}
    marks.with_interval(
        axes,
        sweep["at"],
        ends,
        label=label,
        color=look.color,
        marker=("o", "^")[index],
        linestyle=("-", "--")[index],
    )
