"""Correlation of activations, and similarity of ablation effects, over decoder cosine."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_PARTNER = "partner in another seed"
_GAUGE = marks.LEVELS["gauge"]
_OTHER_LABELS = {"shuffled": "other contexts", "other": "other latent, same places"}
_OTHER_SERIES = {"shuffled": style.SERIES[2], "other": style.SERIES[3]}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot similarity of activations and of ablations over decoder cosine, with chance levels.

    Args:
        data: `correlation` with a `curve` over N bins of cosine: arrays `cosine` (their midpoints),
            `value`, the ends `low` and `high` of its interval, the chance levels `gauge` and
            `shuffled`, and `share`, the percentage of latents in each bin; and `ablation` with a
            `curve` of the same arrays over strata, `other` in the place of `shuffled` and no
            `share`. NaN stands for a bin without latents.

    Returns:
        The figure, as wide as the text: activations on the left with the shares of latents below,
        ablations on the right.
    """
    figure = style.page_figure(height=0.6)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharex=True, sharey="row")
    (correlations, effects), (shares, legend) = grid
    curves = data["correlation"]["curve"], data["ablation"]["curve"]
    _panel(correlations, curves[0], "shuffled")
    _panel(effects, curves[1], "other")
    correlations.set_title("correlation of activations")
    effects.set_title("correlation of effects on the next token")
    correlations.set_ylabel("correlation")
    width = 0.8 * (curves[0]["cosine"][1] - curves[0]["cosine"][0])
    shares.bar(curves[0]["cosine"], curves[0]["share"], width, color="0.6")
    shares.set_ylabel("latents (%)")
    shares.set_xlabel("cosine of decoder rows")
    # The lower right panel holds the legend, so the upper one labels its own axis.
    effects.tick_params(labelbottom=True)
    effects.set_xlabel("cosine of decoder rows")
    handles, labels = marks.legend_entries(correlations, effects)
    once = dict(zip(labels, handles, strict=True))
    legend.axis("off")
    legend.legend(once.values(), once.keys(), loc="lower center")
    return figure


def _panel(axes: Axes, curve: Mapping[str, Any], other: str) -> None:
    x = curve["cosine"]
    axes.axhline(0.0, color=style.CHANCE_COLOR, linewidth=0.6)
    marks.with_interval(axes, x, curve, label=_PARTNER, **marks.trained_style())
    axes.plot(x, curve["gauge"], label=_GAUGE, **marks.level_style("gauge"))
    look = _OTHER_SERIES[other]
    axes.plot(
        x,
        curve[other],
        label=_OTHER_LABELS[other],
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        markerfacecolor="white",
    )
