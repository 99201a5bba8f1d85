"""The closed-form chance level over the number of latents, with drawn dictionaries."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import style

_TITLES = {"max_cosine": "signed", "max_abs_cosine": "absolute"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the mean max cosine of unrelated dictionaries, closed form (lines) and drawn (marks).

    Args:
        data: `sizes`, an array of N numbers of latents, and for each of `max_cosine` and
            `max_abs_cosine` a mapping from `width<d>` to mappings with the arrays `closed`,
            `drawn` and `drawn_sd`, each of N values.

    Returns:
        The figure, as wide as the text: one panel per statistic, one line per width.
    """
    figure = style.page_figure(height=0.42)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (statistic, title) in zip(panels, _TITLES.items(), strict=True):
        _panel(axes, data["sizes"], data[statistic])
        axes.set_title(f"{title} best cosine")
        axes.set_xlabel("latents $n$")
    panels[0].set_ylabel("chance level")
    # Both panels share this axis, so its limit is set after both are drawn.
    panels[0].set_ylim(bottom=0)
    return figure


def _panel(axes: Axes, sizes: Any, widths: Mapping[str, Any]) -> None:
    by_width = sorted((int(name.removeprefix("width")), curve) for name, curve in widths.items())
    for index, (width, curve) in enumerate(by_width):
        look = style.series(index)
        axes.plot(sizes, curve["closed"], color=look.color, linestyle=look.line)
        axes.errorbar(
            sizes,
            curve["drawn"],
            yerr=curve["drawn_sd"],
            color=look.color,
            marker=look.marker,
            linestyle="none",
            elinewidth=0.8,
        )
        axes.annotate(
            f"$d$ = {width}",
            (sizes[-1], curve["closed"][-1]),
            xytext=(0, 6),
            textcoords="offset points",
            ha="right",
            color=look.color,
        )
    style.sizes_axis(axes, sizes)
