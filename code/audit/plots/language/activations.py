"""Whether latents that look alike fire alike, and whether removing them does the same."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_PARTNER = "partner in another seed"
_GAUGE = marks.LEVELS["gauge"]
_OTHERS = {"shuffled": "other contexts", "other": "other latent, same places"}
_LOOKS = {"shuffled": style.SERIES[2], "other": style.SERIES[3]}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Likeness of activations and of ablations over decoder cosine, beside chance.

    Args:
        data: `correlation` with a `curve` over N bins of cosine: arrays `cosine` (their middles),
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
    (fires, moves), (shares, legend) = grid
    curves = data["correlation"]["curve"], data["ablation"]["curve"]
    _panel(fires, curves[0], "shuffled")
    _panel(moves, curves[1], "other")
    fires.set_title("correlation of activations")
    moves.set_title("correlation of effects on the next token")
    fires.set_ylabel("correlation")
    width = 0.8 * (curves[0]["cosine"][1] - curves[0]["cosine"][0])
    shares.bar(curves[0]["cosine"], curves[0]["share"], width, color="0.6")
    shares.set_ylabel("latents (%)")
    shares.set_xlabel("cosine of decoder rows")
    # The strip's other half holds the legend, so the right panel names its own axis.
    moves.tick_params(labelbottom=True)
    moves.set_xlabel("cosine of decoder rows")
    handles, labels = marks.legend_entries(fires, moves)
    once = dict(zip(labels, handles, strict=True))
    legend.axis("off")
    legend.legend(once.values(), once.keys(), loc="lower center")
    return figure


def _panel(axes: Axes, curve: Mapping[str, Any], other: str) -> None:
    x = curve["cosine"]
    axes.axhline(0.0, color=style.CHANCE_COLOR, linewidth=0.6)
    marks.with_interval(axes, x, curve, label=_PARTNER, **marks.trained_style())
    axes.plot(x, curve["gauge"], label=_GAUGE, **marks.level_style("gauge"))
    look = _LOOKS[other]
    axes.plot(
        x,
        curve[other],
        label=_OTHERS[other],
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        markerfacecolor="white",
    )
