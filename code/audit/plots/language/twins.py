"""Divergence of SAEs that share their initialization and differ in the order of batches."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from seedstability.report.figures import marks, style

_CURVES = (
    ("same_latent", "one initialization, same latent", style.SERIES[0]),
    ("twins", "one initialization, best partner", style.SERIES[2]),
    ("with_start", "cosine to initialization", style.SERIES[3]),
    ("strangers", "separate initializations, best partner", style.SERIES[6]),
)


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot similarities over epochs.

    Args:
        data: in `figure` the array `epoch` [T], from 0, and for `same_latent`, `twins`,
            `with_start`, `strangers` and `gauge` arrays [T] of `value`, `low` and `high`.

    Returns:
        The figure, as wide as the text; the axis of epochs is linear up to one and logarithmic
        from there.
    """
    curves = data["figure"]
    epochs = curves["epoch"]
    figure = style.page_figure(height=0.5)
    axes = figure.subplots()
    for name, label, look in _CURVES:
        marks.with_interval(
            axes,
            epochs,
            curves[name],
            label=label,
            color=look.color,
            marker=look.marker,
            linestyle=look.line,
        )
    axes.plot(
        epochs,
        curves["gauge"]["value"],
        label="one initialization, gauge-scrambled",
        **marks.level_style("gauge"),
    )
    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    axes.xaxis.set_major_locator(FixedLocator([float(epoch) for epoch in epochs]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda epoch, _: f"{epoch:g}"))
    axes.set_xlabel("epochs")
    axes.set_ylabel("cosine, mean over latents")
    axes.set_ylim(0, 1.03)
    figure.legend(loc="outside upper left", ncols=2)
    return figure
