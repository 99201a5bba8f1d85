"""Terms of the page: names and definitions of quantities, and number formats."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from seedstability.report.figures import marks

SCOPES = {
    "full": "All latents",
    "live": "Live latents only",
    "span": "Within the span of the activations",
}
"""Headings of the tables of measures; `live` latents fire at least once."""
LEVELS = marks.LEVELS
"""Names of the four chance levels, weakest first, as in figures."""
ARCHITECTURES = {
    "topk": "TopK",
    "batchtopk": "BatchTopK",
    "relu": "ReLU",
    "jumprelu": "JumpReLU",
}
"""Names of architectures in their authors' spelling."""
UNKNOWN = "–"
"""Shown if a number does not apply or could not be computed; the notes say once why."""


class Term(NamedTuple):
    """Name and definition of a quantity."""

    name: str
    meaning: str


MEASURES = {
    "max_cosine": Term(
        "best partner, signed",
        "mean over latents of the largest cosine with any latent of the other dictionary,"
        " averaged over the two directions; some reports call it PWMCC",
    ),
    "max_abs_cosine": Term(
        "best partner, absolute",
        "the same with the absolute value of the cosine; others call this one PWMCC",
    ),
    "matched_mean": Term(
        "one-to-one, mean (PW-MCC)",
        "mean cosine of the one-to-one matching with the largest sum of cosines: the PW-MCC of Song"
        " et al. (2505.20254)",
    ),
    "matched_median": Term("one-to-one, median", "median cosine of the same matching"),
    "shared": Term(
        "shared",
        "share of latents with the same partner in separate matchings of decoders and of encoders,"
        " both at a cosine above {threshold:g}",
    ),
    "shared_decoder_only": Term(
        "shared, decoder alone",
        "share of latents with a cosine above {threshold:g} in the matching of decoders",
    ),
    "agreeing": Term(
        "agreeing", "share of latents with the same partner in both matchings, at any cosine"
    ),
    "cosine_with_start": Term(
        "cosine to initialization", "mean cosine of a latent with its value at initialization"
    ),
}
"""Statistics of a pair of dictionaries; the prefix `encoder_` marks those of encoder rows."""


def term(statistic: str, threshold: float) -> Term:
    """Name and definition of a statistic; an unknown one keeps its key as its name."""
    if statistic.startswith("encoder_"):
        inner = term(statistic.removeprefix("encoder_"), threshold)
        return Term(f"encoder: {inner.name}", f"of encoder rows: {inner.meaning}")
    known = MEASURES.get(statistic, Term(statistic.replace("_", " "), ""))
    return Term(known.name, known.meaning.format(threshold=threshold))


def number(value: float | None, unit: str = "", digits: int = 3) -> str:
    """Format a measured value: `0.302`, `41.3%`, `<0.001`, or a dash."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if unit == "%":
        # Chance levels of shares are often far below one percent.
        digits = 1 if abs(value) >= 1 or value == 0 else 2
    if 0 < value < 0.5 * 10**-digits:
        return f"<{10**-digits:.{digits}f}{unit}"
    # Adding zero removes the sign of values that round to zero.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") + unit


def bound(value: float | None) -> str:
    """Format an upper bound, of which only the order of magnitude matters."""
    return UNKNOWN if value is None else f"{value:.1e}".replace("-", "−")


def count(value: float | None) -> str:
    """Format a whole number with thousands separators."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def architecture(name: str | None) -> str:
    """Name of an architecture in its authors' spelling, or as given."""
    if name is None:
        return "decoder alone"
    return ARCHITECTURES.get(name.lower().replace("_", ""), name)


def plain(value: Any) -> str:
    """Format a setting or a version."""
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
