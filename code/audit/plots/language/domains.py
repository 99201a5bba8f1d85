"""Do the latents that come back within one kind of text come back in the other?"""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_KINDS = {"code": ("code", "prose"), "prose": ("prose", "code")}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Best cosine in the other kind of text over best cosine within one's own.

    Args:
        data: for each of `code` and `prose` a mapping `figure` with arrays of one value a class
            of latents: mean `within`; `median` in the other kind, its quartiles `low` and `high`;
            and `gauge`, the median after a scramble.

    Returns:
        The figure, as wide as the text: a panel a kind, with the line on which both are equal.
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
