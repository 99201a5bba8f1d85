"""Alignment and sharing over firing rate, after a long and a short training."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from seedstability.report.figures import style

_ARMS = {"long": "long training", "short": "short training"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot alignment and sharing of latents in classes of equal size by firing rate.

    Args:
        data: for each of `long` and `short` a mapping `curve` with arrays of one value per class:
            geometric mean `frequency`, `median` alignment with its quartiles `low` and `high`,
            and `shared`, the percentage of latents shared with another seed.

    Returns:
        The figure, as wide as the text: alignment to the left, shares to the right.
    """
    figure = style.page_figure(height=0.42)
    aligned, shared = figure.subplots(1, 2)
    for index, (arm, name) in enumerate(_ARMS.items()):
        curve, look = data[arm]["curve"], style.series(index)
        drawn = {"color": look.color, "marker": look.marker, "linestyle": look.line}
        aligned.plot(curve["frequency"], curve["median"], label=name, **drawn)
        aligned.fill_between(
            curve["frequency"], curve["low"], curve["high"], color=look.color, alpha=0.18
        )
        shared.plot(curve["frequency"], curve["shared"], label=name, **drawn)
    aligned.set_title("mean cosine with partners: median, quartiles")
    shared.set_title("shared with another seed (%)")
    shared.set_ylim(0, 100)
    for axes in (aligned, shared):
        _frequencies(axes)
    figure.legend(*aligned.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def _frequencies(axes: Axes) -> None:
    axes.set_xscale("log")
    # Half a decade apart, since matplotlib's own tick labels touch.
    axes.xaxis.set_major_locator(FixedLocator([1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("share of tokens on which a latent fires")
