"""Recurrence of latents across two domains over their recurrence within one."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_KINDS = {"code": ("code", "prose"), "prose": ("prose", "code")}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the best cosine in the other domain over the best cosine within the same domain.

    Args:
        data: for each of `code` and `prose` a mapping `figure` with arrays of one value per class
            of latents: mean `within`; `median` in the other domain, its quartiles `low` and `high`;
            and `gauge`, the median after a scramble.

    Returns:
        The figure, as wide as the text: one panel per domain, with the line of equality.
    """
    figure = style.page_figure(height=0.46)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (kind, (own, other)) in zip(panels, _KINDS.items(), strict=True):
        curve = data[kind]["figure"]
        look = marks.trained_style()
        axes.plot((0, 1), (0, 1), color="0.7", linewidth=0.8, label="as close as within")
        axes.plot(curve["within"], curve["median"], label="median, with quartiles", **look)
        axes.fill_between(
            curve["within"], curve["low"], curve["high"], color=look["color"], alpha=0.18
        )
        axes.plot(
            curve["within"],
            curve["gauge"],
            label=marks.LEVELS["gauge"],
            **marks.level_style("gauge"),
        )
        axes.set_title(f"latents of {own}")
        axes.set_xlabel(f"best cosine within {own}, other seeds")
        axes.set_ylabel(f"best cosine in {other}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure
