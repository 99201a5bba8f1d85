"""One latent's activation map, its best partner without a shift, and after a shift."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from seedstability.report.figures import style


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot three maps over the two summands, in grays.

    Args:
        data: `latent`, `plain` and `shifted`, square arrays over a and b, mean zero and at most one
            in size; `plain_correlation` and `shifted_correlation`, of the whole maps.

    Returns:
        The figure, as wide as the text, with one gray scale for all maps.
    """
    figure = style.page_figure(height=0.36)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    titles = {
        "latent": "a latent",
        "plain": f"best partner as it is: {data['plain_correlation']:.2f}",
        "shifted": f"best after a shift: {data['shifted_correlation']:.2f}",
    }
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        # The b axis points up.
        image = axes.imshow(
            data[name].T, cmap="Greys", vmin=0.0, vmax=1.0, origin="lower", interpolation="nearest"
        )
        axes.set_title(title)
        axes.set_xlabel("a")
        axes.spines[["top", "right"]].set_visible(True)
    panels[0].set_ylabel("b")
    bar = figure.colorbar(image, ax=panels, shrink=0.8, pad=0.01)
    bar.set_label("activation less its mean")
    return figure
