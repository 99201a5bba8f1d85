"""Figure: how near the last checkpoint of a run each earlier one is."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_CURVES = {
    "same_latent": ("the same latent", style.SERIES[0]),
    "best": ("best partner", style.SERIES[1]),
    "matched": ("one-to-one partner", style.SERIES[2]),
}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Draw mean cosines with the last checkpoint by step.

    Args:
        data: `steps`; `to_last`, with a list for each of `same_latent`, `best` and `matched`, in
            which None is unknown; and `chance`, of the best partner.
    """
    figure = style.page_figure(width=0.5, height=0.34)
    axes = figure.subplots()
    for name, (label, look) in _CURVES.items():
        both = zip(data["steps"], data["to_last"][name], strict=True)
        known = [(step, value) for step, value in both if value is not None]
        drawn = {"color": look.color, "marker": look.marker, "linestyle": look.line}
        axes.plot(*zip(*known, strict=True), label=label, **drawn)
    axes.axhline(data["chance"], color="0.35", linestyle=":", label="best partner by chance")
    axes.set_xlabel("step")
    axes.set_ylabel("cosine with the last checkpoint")
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.02)
    if data["steps"][0] > 0 and data["steps"][-1] > 20 * data["steps"][0]:
        axes.set_xscale("log")
    figure.legend(*marks.legend_entries(axes), loc="outside upper left", ncols=2)
    return figure
