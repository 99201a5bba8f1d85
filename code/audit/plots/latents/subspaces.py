"""Recurrence of latents in other seeds, and their best cosines: two camps or one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_CAMPS = {
    "unstable": ("#F3C9A5", "never found (unstable)", "////"),
    "between": ("#E4E4E4", "in between", ""),
    "stable": ("#5B9BC8", "always found (stable)", ""),
}
_BAND = "gauge-scrambled, nine in ten"
_ADDITION = {"clean": "addition, clean", "leaky": "addition, leaky"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot recurrence and mean best cosines of live latents, with those after a gauge scramble.

    Args:
        data: for each of `language`, `clean` and `leaky` a mapping `figure` with `edges` (B + 1)
            and, in percent of live latents per bin (B values), `unstable`, `between` and `stable`,
            which add up to all, and `gauge`; of `language` also `votes` and `votes_gauge`, percent
            of the latents that recur in 0, 1, … other seeds.

    Returns:
        The figure, as wide as the text: recurrence, then cosines of each arm.
    """
    figure = style.page_figure(height=0.62)
    panels = figure.subplots(2, 2)
    _recurrence(panels[0, 0], data["language"]["figure"])
    _cosines(panels[0, 1], data["language"]["figure"])
    panels[0, 0].set_title("language model, recurrence")
    panels[0, 1].set_title("language model, cosines")
    for axes, (name, title) in zip(panels[1], _ADDITION.items(), strict=True):
        _cosines(axes, data[name]["figure"])
        axes.set_title(title)
    for axes in panels[:, 0]:
        axes.set_ylabel("live latents (%)")
    handles, labels = panels[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def _recurrence(axes: Axes, found: Mapping[str, Any]) -> None:
    """Bars of latents by the share of other seeds in which they recur."""
    recurrence, others = found["votes"], len(found["votes"]) - 1
    share = np.arange(others + 1) / others
    colors = [_CAMPS["unstable"], *[_CAMPS["between"]] * (others - 1), _CAMPS["stable"]]
    for at, height, (color, _, hatch) in zip(share, recurrence, colors, strict=True):
        axes.bar(at, height, 0.8 / others, color=color, edgecolor="0.3", linewidth=0.4, hatch=hatch)
    look = marks.level_style("gauge") | {"linestyle": "none"}
    axes.plot(share, found["votes_gauge"], **look)
    # After a scramble nearly all latents recur in no seed. Their bar would dwarf all others.
    axes.set_ylim(0.0, 1.6 * float(np.max(recurrence)))
    axes.text(
        0.03,
        0.97,
        f"gauge-scrambled (squares): {found['votes_gauge'][0]:.1f}% at none",
        transform=axes.transAxes,
        va="top",
        fontsize=style.SMALLEST_TYPE,
    )
    axes.set_xlabel("share of other seeds that have the latent")


def _cosines(axes: Axes, found: Mapping[str, Any]) -> None:
    edges, floor = found["edges"], np.zeros(len(found["edges"]) - 1)
    for camp, (color, name, hatch) in _CAMPS.items():
        top = floor + found[camp]
        axes.stairs(
            top,
            edges,
            baseline=floor,
            fill=True,
            facecolor=color,
            edgecolor="0.3",
            linewidth=0.4,
            hatch=hatch,
            label=name,
        )
        floor = top
    low, high = _central_90(found["gauge"], edges)
    gauge = style.series(1).color
    axes.axvspan(low, high, color=gauge, alpha=0.22, linewidth=0, label=_BAND, zorder=0)
    for end in (low, high):
        axes.axvline(end, color=gauge, linestyle=style.series(1).line, linewidth=1.0)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("best cosine, mean over other seeds")


def _central_90(heights: Any, edges: Any) -> tuple[float, float]:
    """Cosines between which the central 90% of a histogram lie."""
    below = np.concatenate([[0.0], np.cumsum(heights)]) / np.sum(heights)
    low, high = np.interp([0.05, 0.95], below, edges)
    return float(low), float(high)
