"""Figure: distribution of cosines of latents with their partners, with its chance levels."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_PANELS = {"matched": "one-to-one partner", "best": "best partner"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Draw histograms of cosines with the partner, and of each chance level.

    Args:
        data: `edges`, B + 1 cosines; for each of `matched` and `best` B shares of latents, and in
            `chance_matched` and `chance_best` a mapping from level to B shares, or to None; and
            `threshold`, from which a latent recurs.

    Returns:
        The figure, two thirds of the text width: one panel per kind of partner.
    """
    figure = style.page_figure(width=0.68, height=0.62)
    drawn = {kind: title for kind, title in _PANELS.items() if data[kind] is not None}
    panels = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (kind, title) in zip(panels, drawn.items(), strict=True):
        _panel(axes, data["edges"], data[kind], data[f"chance_{kind}"] or {})
        axes.axvline(data["threshold"], color=style.CHANCE_COLOR, linewidth=0.7, zorder=0)
        axes.set_title(title)
        axes.set_ylabel("share of latents")
        axes.set_ylim(bottom=0)
    panels[-1].set_xlabel("cosine of decoder directions")
    panels[-1].set_xlim(*_shown(data))
    figure.legend(*marks.legend_entries(panels[0]), loc="outside upper left", ncols=2)
    return figure


def _panel(axes: Axes, edges: Sequence[float], ours: Any, chance: Mapping[str, Any]) -> None:
    color = style.SERIES[0].color
    axes.stairs(ours, edges, fill=True, color=color, alpha=0.45, label="these dictionaries")
    axes.stairs(ours, edges, color=color, linewidth=0.9)
    for level, shares in chance.items():
        if shares is not None:
            look = marks.level_style(level)
            axes.stairs(
                shares,
                edges,
                color=look["color"],
                linestyle=look["linestyle"],
                linewidth=1.1,
                label=f"chance: {marks.LEVELS[level]}",
            )


def _shown(data: Mapping[str, Any]) -> tuple[float, float]:
    """Range of cosines with any latents, up to 1: few latents have a negative cosine."""
    curves = [data[kind] for kind in _PANELS if data[kind] is not None]
    for kind in _PANELS:
        curves += [shares for shares in (data[f"chance_{kind}"] or {}).values() if shares]
    used = [bin for curve in curves for bin, share in enumerate(curve) if share > 0]
    return min(data["edges"][min(used, default=0)], data["threshold"]), data["edges"][-1]
