"""Distribution of matched cosines at each size, with its chance level and a fitted mixture."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from seedstability.report.figures import style

_PLACES = ("smallest", "small", "large", "largest")


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot matched decoder cosines of live latents with the mixture fitted to them.

    Args:
        data: `histogram`, which holds for each of `smallest`, `small`, `large` and `largest` a
            mapping with `edges` (B + 1 values) and the shares of latents in percent per bin (B
            values) of `trained`, `gauge` and the fitted `mixture`.

    Returns:
        The figure, as wide as the text: one panel per size.
    """
    figure = style.page_figure(height=0.52)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    gauge, mixture = style.series(1), style.series(6)
    for axes, place in zip(panels.flat, _PLACES, strict=True):
        found = data["histogram"][place]
        edges = found["edges"]
        axes.stairs(found["trained"], edges, fill=True, color="#9CC9E3", label="trained")
        axes.stairs(
            found["gauge"],
            edges,
            color=gauge.color,
            linestyle=gauge.line,
            label="gauge-scrambled",
        )
        axes.plot(
            0.5 * (edges[:-1] + edges[1:]),
            found["mixture"],
            color=mixture.color,
            linestyle=mixture.line,
            linewidth=1.0,
            label="mixture of two, fitted",
        )
        axes.set_title(f"{place} dictionary")
    for axes in panels[1]:
        axes.set_xlabel("cosine with the decoder's partner")
    for axes in panels[:, 0]:
        axes.set_ylabel("latents (%)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure
