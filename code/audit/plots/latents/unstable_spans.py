"""Overlap between the spans of two seeds' unstable latents."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_PANELS = {"language": "language model", "clean": "addition, clean", "leaky": "addition, leaky"}
_LEVELS = {
    "covariance": ("drawn with the data's covariance", style.SERIES[2]),
    "gauge": ("gauge-scrambled", style.SERIES[1]),
    "partners": ("single partners alone", style.SERIES[5]),
    "components": ("data's leading components", style.SERIES[4]),
    "stable": ("stable latents", style.SERIES[3]),
    "random": ("random", style.SERIES[6]),
}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the overlap of two seeds' unstable spans over their dimension, with its levels.

    Args:
        data: for each of `language`, `clean` and `leaky` a mapping `figure` with arrays of one
            value per dimension: `dimension`; `value`, `low` and `high` of the overlap; the levels
            `covariance`, `gauge`, `partners`, `components`, `stable` and `random`.

    Returns:
        The figure, as wide as the text: one panel per arm.
    """
    figure = style.page_figure(height=0.5)
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (name, title) in zip(panels, _PANELS.items(), strict=True):
        curve = data[name]["figure"]
        at = curve["dimension"]
        for level, (label, look) in _LEVELS.items():
            axes.plot(
                at,
                curve[level],
                color=look.color,
                marker=look.marker,
                linestyle=look.line,
                markerfacecolor="white",
                label=label,
            )
        marks.with_interval(axes, at, curve, label="unstable, two seeds", **marks.trained_style())
        style.sizes_axis(axes, at)
        axes.set_ylim(0.0, 1.0)
        axes.set_title(title)
        axes.set_xlabel("dimensions compared")
    panels[0].set_ylabel("overlap (mean squared cosine\nof principal angles)")
    handles, labels = panels[0].get_legend_handles_labels()
    # The trained curve comes first, although error bars are listed last.
    figure.legend(
        [handles[-1], *handles[:-1]], [labels[-1], *labels[:-1]], loc="outside upper left", ncols=3
    )
    return figure
