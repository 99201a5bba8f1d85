"""Detection scores of rules: their distribution, over alignment, and over firing rate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from seedstability.report.figures import marks, style

_SERIES = {
    "strong": ("latents, strongest windows", style.SERIES[1], True),
    "strong_random": ("random, strongest windows", style.SERIES[4], False),
    "score": ("latents, any active window", style.SERIES[0], True),
    "random": ("random directions, any", style.SERIES[6], False),
    "swapped": ("another latent's rule", style.SERIES[2], False),
}
_CHANCE_SCORE = 0.5


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot detection scores of latents, of random directions and of other latents' rules.

    Args:
        data: `share`, with `edges` of B + 1 scores, and under `score`, `random` and `swapped` a
            `value` of B shares; `alignment`, with `alignment` of N bins, and `rate`, with
            `log_rate` of N bins, both with `value`, `low` and `high` of N mean scores under
            `score` and `strong`, the latter also under `random` and `strong_random`.

    Returns:
        The figure, as wide as the text, three panels.
    """
    figure = style.page_figure(height=0.42)
    shares, alignment, rate = figure.subplots(1, 3, width_ratios=(1, 1, 1))
    _distribution(shares, data["share"])
    _scores(alignment, data["alignment"]["alignment"], data["alignment"])
    alignment.set_xlabel("alignment with another seed")
    _scores(rate, data["rate"]["log_rate"], data["rate"])
    rate.set_xlabel("firing rate")
    rate.xaxis.set_major_formatter(FuncFormatter(lambda power, _: f"{100 * 10**power:.2g}%"))
    rate.xaxis.set_minor_locator(NullLocator())
    top = max(axes.get_ylim()[1] for axes in (alignment, rate))
    for axes in (alignment, rate):
        axes.set_ylim(_CHANCE_SCORE - 0.02, top)
        axes.set_ylabel("detection score")
    figure.legend(*_legend_entries(shares, rate), loc="outside upper left", ncols=3)
    return figure


def _distribution(axes: Axes, data: Mapping[str, Any]) -> None:
    edges = np.asarray(data["edges"])
    middles = (edges[1:] + edges[:-1]) / 2
    for name in ("score", "random", "swapped"):
        axes.plot(middles, 100 * np.asarray(data[name]["value"]), **_series_style(name))
    axes.set_xlabel("detection score")
    axes.set_ylabel("latents (%)")
    marks.start_at_zero(axes)


def _scores(axes: Axes, x: Any, data: Mapping[str, Any]) -> None:
    for name in _SERIES:
        if name in data:
            marks.with_interval(axes, x, data[name], **_series_style(name))
    axes.axhline(_CHANCE_SCORE, color=style.CHANCE_COLOR, linewidth=0.7, zorder=0)


def _series_style(name: str) -> dict[str, Any]:
    label, look, filled = _SERIES[name]
    return {
        "label": label,
        "color": look.color,
        "marker": look.marker,
        "linestyle": look.line,
        "markerfacecolor": look.color if filled else "white",
    }


def _legend_entries(*panels: Axes) -> tuple[list[Any], list[str]]:
    """One legend entry per series, in order, from the panels that draw it."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    labels = [label for label, *_ in _SERIES.values()]
    return [found[label] for label in labels], labels
