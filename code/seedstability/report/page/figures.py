"""Figures of the page: data from the document, captions, and text alternatives."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from seedstability.report.figures import firing, inline_svg, seed_pairs, similarity_distribution
from seedstability.report.figures import over_time as over_time_figure
from seedstability.report.figures import recurrence as recurrence_figure
from seedstability.report.page.terms import LEVELS, count, number

Document = Mapping[str, Any]

HEAT_MAPS = {
    "max_cosine": "best partner, signed: mean cosine",
    "matched_mean": "one-to-one: mean cosine",
}
"""Statistics drawn as heat maps over pairs, for all latents."""


class PageFigure(NamedTuple):
    """A figure of the page with its caption."""

    svg: Markup
    caption: str


def pictures(document: Document) -> list[PageFigure]:
    """The figures that the document allows, the most telling first."""
    drawn = (
        over_time(document),
        reproducibility(document),
        distribution(document),
        frequency(document),
    )
    return [*(each for each in drawn if each), *heat_maps(document)]


def over_time(document: Document) -> PageFigure | None:
    """Cosines with the last checkpoint; `None` for dictionaries of several seeds."""
    found = document.get("over_time")
    if not found:
        return None
    caption = "Mean cosine of latents with the last checkpoint, by step."
    first = found["to_last"]["same_latent"][0]
    said = f"The same latent: {number(first)} at step {found['steps'][0]:,}."
    return _drawn(over_time_figure, found, "over-time", caption, said)


def distribution(document: Document) -> PageFigure | None:
    """Distribution of cosines with partners, with its chance levels."""
    found = document.get("distribution")
    if not found:
        return None
    data = {
        "edges": found["edges"],
        "threshold": _threshold(document),
        **{kind: found.get(kind) for kind in ("matched", "best")},
        **{kind: found.get(kind) for kind in ("chance_matched", "chance_best")},
    }
    caption = (
        "Cosine of latents with their partner in another dictionary (filled), and its chance"
        " levels (lines). Top: one-to-one partners. Bottom: best partners."
        f" The thin line is at {data['threshold']:g}."
    )
    return _drawn(similarity_distribution, data, "distribution", caption, _largest_bin(found))


def reproducibility(document: Document) -> PageFigure | None:
    """Recurrence counts, and the mean recurrence rate by threshold."""
    found = document.get("reproducibility")
    if not found or not found.get("thresholds"):
        return None
    keys = sorted(found["thresholds"], key=float)
    means = [_interval(found["thresholds"][key].get("mean")) for key in keys]
    chances = [found["thresholds"][key].get("chance") or {} for key in keys]
    votes, counts = found["histogram"]["votes"], found["histogram"]["count"]
    total = max(sum(counts), 1)
    data = {
        "counts": votes,
        "share": [each / total for each in counts],
        "threshold": found.get("threshold", _threshold(document)),
        "thresholds": [float(key) for key in keys],
        **{end: [mean[end] for mean in means] for end in ("low", "high")},
        "mean": [_or_nan(mean["value"]) for mean in means],
        "chance": {
            level: [_interval(chance.get(level))["value"] for chance in chances] for level in LEVELS
        },
    }
    caption = (
        "Number of other dictionaries in which a latent recurs (left), and the mean recurrence rate"
        " by cosine threshold, with its chance levels (right)."
    )
    said = ", ".join(f"{v} others: {number(100 * s, '%')}" for v, s in _shares(data))
    description = f"Share of latents that recur in {said}."
    return _drawn(recurrence_figure, data, "recurrence", caption, description)


def frequency(document: Document) -> PageFigure | None:
    """Similarity by firing rate; `None` without activations."""
    found = document.get("firing")
    if not found:
        return None
    caption = (
        "Cosine with the best partner by firing rate: median and interquartile range (band)."
        " Bottom: number of latents."
    )
    dead = found.get("dead") or {"count": 0, "median_cosine": None}
    said = f"{count(dead['count'])} latents never fire."
    return _drawn(firing, {**found, "dead": dead}, "firing", caption, said)


def heat_maps(document: Document) -> list[PageFigure]:
    """Heat maps of the statistics `HEAT_MAPS` over all compared pairs."""
    names = [each["name"] for each in document["inputs"]["dictionaries"]]
    pairs = (document.get("pairs") or {}).get("full") or {}
    drawn = []
    for statistic, what in HEAT_MAPS.items():
        values = pairs.get(statistic)
        known = [x for row in values or () for x in row if x is not None]
        if values is None or not known:
            continue
        caption = f"{what[0].upper()}{what[1:]}, for each pair of dictionaries, over all latents."
        if len(known) < len(names) * (len(names) - 1):
            caption += " Empty cells are pairs that were not compared."
        said = f"From {number(min(known))} to {number(max(known))}."
        data = {"names": names, "values": values, "what": what}
        drawn.append(_drawn(seed_pairs, data, f"pairs-{statistic}", caption, said))
    return drawn


def _drawn(module: Any, data: Mapping[str, Any], name: str, caption: str, said: str) -> PageFigure:
    svg = inline_svg.markup(module.draw(data), name, f"{caption} {said}")
    # Safe: matplotlib writes numbers, and labels as outlines; no user text is in the markup.
    return PageFigure(Markup(svg), caption)


def _threshold(document: Document) -> float:
    return document["settings"].get("threshold", 0.7)


def _interval(found: Any) -> dict[str, float | None]:
    if isinstance(found, Mapping):
        return {end: found.get(end) for end in ("value", "low", "high")}
    return {"value": found, "low": None, "high": None}


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _shares(data: Mapping[str, Any]) -> list[tuple[int, float]]:
    return list(zip(data["counts"], data["share"], strict=True))


def _largest_bin(found: Mapping[str, Any]) -> str:
    shares = found.get("matched") or found["best"]
    place = max(range(len(shares)), key=shares.__getitem__)
    low, high = found["edges"][place], found["edges"][place + 1]
    return f"The largest bin, {number(100 * shares[place], '%')}, is from {low:g} to {high:g}."
