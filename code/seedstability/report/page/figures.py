"""The figures of the page: what each takes from the document, and what it says in words."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from seedstability.report.figures import firing, inline_svg, seed_pairs, similarity_distribution
from seedstability.report.figures import recurrence as votes
from seedstability.report.page.terms import LEVELS, count, number

Document = Mapping[str, Any]

HEAT_MAPS = {
    "max_cosine": "best partner, signed: mean cosine",
    "matched_mean": "one-to-one: mean cosine",
}
"""Statistics drawn pair by pair, over all latents."""


class PageFigure(NamedTuple):
    """A figure of the page."""

    svg: Markup
    caption: str


def distribution(document: Document) -> PageFigure | None:
    """Cosines of single latents with their partners, and under each chance level."""
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
        "How similar single latents are to their partner in another dictionary (filled), and how"
        " similar luck alone makes them (lines). Above: each latent has a partner of its own."
        f" Below: each takes the best there is. The thin line is at {data['threshold']:g}."
    )
    return _drawn(similarity_distribution, data, "distribution", caption, _where_most_lie(found))


def reproducibility(document: Document) -> PageFigure | None:
    """Votes of the other seeds, and the mean over thresholds."""
    found = document.get("reproducibility")
    if not found or not found.get("thresholds"):
        return None
    keys = sorted(found["thresholds"], key=float)
    means = [_interval(found["thresholds"][key].get("mean")) for key in keys]
    chances = [found["thresholds"][key].get("chance") or {} for key in keys]
    votes_cast, counts = found["histogram"]["votes"], found["histogram"]["count"]
    total = max(sum(counts), 1)
    data = {
        "votes": votes_cast,
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
        "In how many of the other seeds a latent comes back (left), and the mean share of seeds"
        " when more or less similarity is asked for (right), beside what chance gives."
    )
    said = ", ".join(f"{v} seeds: {number(100 * s, '%')}" for v, s in _voted(data))
    return _drawn(votes, data, "votes", caption, f"Latents that come back in {said}.")


def frequency(document: Document) -> PageFigure | None:
    """Similarity over the firing frequency; only where activations were given."""
    found = document.get("firing")
    if not found:
        return None
    caption = (
        "Cosine with the best partner against how often a latent fires: the median, and the middle"
        " half in the band. Below, how many latents there are."
    )
    dead = found.get("dead") or {"count": 0, "median_cosine": None}
    said = f"{count(dead['count'])} latents never fire."
    return _drawn(firing, {**found, "dead": dead}, "firing", caption, said)


def heat_maps(document: Document) -> list[PageFigure]:
    """Each statistic of `HEAT_MAPS` for every pair that was looked at."""
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
            caption += " Where there is no number the pair was not looked at."
        said = f"From {number(min(known))} to {number(max(known))}."
        data = {"names": names, "values": values, "what": what}
        drawn.append(_drawn(seed_pairs, data, f"pairs-{statistic}", caption, said))
    return drawn


def _drawn(module: Any, data: Mapping[str, Any], name: str, caption: str, said: str) -> PageFigure:
    svg = inline_svg.markup(module.draw(data), name, f"{caption} {said}")
    # Written by matplotlib from numbers, and from labels as outlines: nothing of a user's is in it.
    return PageFigure(Markup(svg), caption)


def _threshold(document: Document) -> float:
    return document["settings"].get("threshold", 0.7)


def _interval(found: Any) -> dict[str, float | None]:
    if isinstance(found, Mapping):
        return {end: found.get(end) for end in ("value", "low", "high")}
    return {"value": found, "low": None, "high": None}


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _voted(data: Mapping[str, Any]) -> list[tuple[int, float]]:
    return list(zip(data["votes"], data["share"], strict=True))


def _where_most_lie(found: Mapping[str, Any]) -> str:
    shares = found.get("matched") or found["best"]
    place = max(range(len(shares)), key=shares.__getitem__)
    low, high = found["edges"][place], found["edges"][place + 1]
    return f"The largest group, {number(100 * shares[place], '%')}, lies from {low:g} to {high:g}."
