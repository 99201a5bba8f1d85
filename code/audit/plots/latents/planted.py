"""Recurrence of latents and of spans of blocks on planted truth, with predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedstability.report.figures import marks, style

_BLOCKS, _SINGLES = style.series(0), style.series(2)
_LAW = style.series(6)
_TURNED = style.series(5)
_GAUGE, _OTHER = marks.level_style("gauge"), marks.level_style("untrained")


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot reproducibility and overlap of spans over rank, frequency and samples.

    Args:
        data: `sweeps` with, for `rank` and `samples`, `figure`: `level` and, each with its ends
            (`_low`, `_high`), `blocks`, `turned`, `blocks_gauge`, `singles` and, in `rank`,
            `overlap_value`, `overlap_turned`, `overlap_gauge` and `overlap_other`, and `expected`,
            arrays along the levels; `frequency` with `frequency` and, for `singles` and `blocks`,
            `measured` and `expected`, arrays of one value per class.

    Returns:
        The figure, as wide as the text: four panels.
    """
    figure = style.page_figure(height=0.78)
    (latents, spans), (frequency, samples) = figure.subplots(2, 2)
    rank, few = data["sweeps"]["rank"]["figure"], data["sweeps"]["samples"]["figure"]
    _latents(latents, rank)
    _spans(spans, rank)
    _frequency(frequency, data["frequency"])
    _latents(samples, few, labelled=False)
    for axes, levels in ((latents, rank), (spans, rank), (samples, few)):
        style.sizes_axis(axes, list(levels["level"]))
    for axes, title in (
        (latents, "latents, by rank of the block"),
        (spans, "spans, by rank of the block"),
        (frequency, "latents, by frequency of the unit"),
        (samples, "latents, by number of samples"),
    ):
        axes.set_title(title)
        axes.set_ylim(-0.03, 1.05)
        axes.set_ylabel("reproducibility")
    for axes in (latents, spans):
        axes.set_xlabel("dimensions of a block")
    spans.set_ylabel("overlap of two seeds' spans")
    frequency.set_xlabel("share of samples in which the unit is active")
    samples.set_xlabel("samples trained on, equal steps")
    figure.legend(*marks.legend_entries(latents, spans), loc="outside upper left", ncols=3)
    return figure


def _latents(axes: Axes, along: Mapping[str, Any], labelled: bool = True) -> None:
    _curve(axes, along, "singles", "latents of singles" if labelled else "", **_solid(_SINGLES))
    _curve(axes, along, "blocks", "latents of blocks" if labelled else "", **_solid(_BLOCKS))
    _curve(
        axes,
        along,
        "turned",
        "blocks turned within themselves" if labelled else "",
        **_hollow(_TURNED),
    )
    _curve(axes, along, "blocks_gauge", marks.LEVELS["gauge"] if labelled else "", **_GAUGE)
    axes.plot(
        along["level"],
        along["expected"],
        label="covering law" if labelled else None,
        **_hollow(_LAW),
    )


def _spans(axes: Axes, along: Mapping[str, Any]) -> None:
    _curve(axes, along, "overlap_value", "", **_solid(_BLOCKS))
    _curve(axes, along, "overlap_turned", "", **_hollow(_TURNED))
    _curve(axes, along, "overlap_gauge", "", **_GAUGE)
    _curve(axes, along, "overlap_other", "latents of other units", **_OTHER)


def _frequency(axes: Axes, data: Mapping[str, Any]) -> None:
    for kind, look in (("singles", _SINGLES), ("blocks", _BLOCKS)):
        axes.plot(data["frequency"], data[kind]["measured"], **_solid(look))
        axes.plot(data["frequency"], data[kind]["expected"], **_hollow(_LAW))
    axes.set_xscale("log")
    _plain_shares(axes, data["frequency"])


def _plain_shares(axes: Axes, shares: Sequence[float]) -> None:
    axes.set_xticks(list(shares), [f"{100 * share:.1f}%" for share in shares])
    axes.set_xticks([], minor=True)


def _curve(axes: Axes, along: Mapping[str, Any], name: str, label: str, **look: Any) -> None:
    curve = {"value": along[name], "low": along[f"{name}_low"], "high": along[f"{name}_high"]}
    marks.with_interval(axes, along["level"], curve, label=label or None, **look)


def _solid(look: style.Series) -> dict[str, Any]:
    return {"color": look.color, "marker": look.marker, "linestyle": look.line}


def _hollow(look: style.Series) -> dict[str, Any]:
    return {**_solid(look), "markerfacecolor": "white"}
