"""What the page calls each quantity, and how it prints numbers."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from seedstability.report.figures import marks

SCOPES = {
    "full": "All latents",
    "live": "Live latents only",
    "span": "Within the span of the activations",
}
"""Headings of the tables of measures; `live` means firing at least once."""
LEVELS = marks.LEVELS
"""The four chance levels, weakest first, named as in the figures."""
ARCHITECTURES = {
    "topk": "TopK",
    "batchtopk": "BatchTopK",
    "relu": "ReLU",
    "jumprelu": "JumpReLU",
}
"""As their authors write them."""
UNKNOWN = "not available"
"""What stands where a number does not apply or could not be computed."""


class Term(NamedTuple):
    """A quantity, as the page names and explains it."""

    name: str
    meaning: str


MEASURES = {
    "max_cosine": Term(
        "best partner, signed",
        "mean over latents of the largest cosine with any latent of the other dictionary,"
        " averaged over the two directions",
    ),
    "max_abs_cosine": Term(
        "best partner, absolute", "the same with the cosine's sign left out; the two differ"
    ),
    "matched_mean": Term(
        "one-to-one, mean",
        "each latent gets a partner of its own so that the sum of cosines is largest;"
        " the mean of the paired cosines",
    ),
    "matched_median": Term("one-to-one, median", "the median of the same cosines"),
    "shared": Term(
        "shared",
        "share of latents to which the decoders' and the encoders' matching, made separately,"
        " give the same partner, with both cosines above {threshold:g}",
    ),
    "shared_decoder_only": Term(
        "shared, decoder alone",
        "share of latents whose cosine in the decoders' matching is above {threshold:g}",
    ),
    "agreeing": Term(
        "agreeing", "share of latents to which both matchings give the same partner, however far"
    ),
    "cosine_with_start": Term(
        "cosine with the start", "mean cosine of a latent with itself before the first step"
    ),
}
"""Statistics of a pair of dictionaries; `encoder_` before a name says it of the rows read."""


def term(statistic: str, threshold: float) -> Term:
    """Name and meaning of a statistic; one that is not known here keeps its own name."""
    if statistic.startswith("encoder_"):
        inner = term(statistic.removeprefix("encoder_"), threshold)
        return Term(f"encoder: {inner.name}", f"of encoder rows: {inner.meaning}")
    known = MEASURES.get(statistic, Term(statistic.replace("_", " "), ""))
    return Term(known.name, known.meaning.format(threshold=threshold))


def number(value: float | None, unit: str = "", digits: int = 3) -> str:
    """A measured value: `0.302`, `41.3%`, `<0.001`; or that there is none."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if unit == "%":
        # Shares far below one percent are chance levels.
        digits = 1 if abs(value) >= 1 or value == 0 else 2
    if 0 < value < 0.5 * 10**-digits:
        return f"<{10**-digits:.{digits}f}{unit}"
    # Adding zero takes the sign from what rounds to nothing.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") + unit


def bound(value: float | None) -> str:
    """How far off something may be at most: its order of magnitude is what counts."""
    return UNKNOWN if value is None else f"{value:.1e}".replace("-", "−")


def count(value: float | None) -> str:
    """A whole number with its thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def architecture(name: str) -> str:
    """As its authors write it, or as it was given."""
    return ARCHITECTURES.get(name.lower().replace("_", ""), name)


def plain(value: Any) -> str:
    """A setting or a version, as somebody would write it."""
    if isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys():
        return f"{number(value['value'])} [{number(value['low'])}, {number(value['high'])}]"
    if isinstance(value, Mapping):
        named = (f"{key.replace('_', ' ')} {plain(inner)}" for key, inner in value.items())
        return ", ".join(named)
    if isinstance(value, list | tuple):
        return ", ".join(plain(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)
