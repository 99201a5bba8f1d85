"""What a comparison measures, and where it has the chance levels of each statistic."""

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict

import numpy as np
from jaxtyping import Float
from torch import Tensor

PairStatistics = dict[str, Float[np.ndarray, "S S"]]
"""A matrix over pairs of seeds by name of a statistic; NaN where a pair was not compared."""
Scope = Literal["full", "live", "span"]
"""All latents, live ones, or directions within the span of the data."""
Chance = float | np.ndarray
"""One number, or one per pair [S, S]."""


class Similarities(TypedDict):
    """Similarities of the dictionaries of S seeds, and their chance levels."""

    full: PairStatistics
    live: NotRequired[PairStatistics]
    span: NotRequired[PairStatistics]
    untrained: NotRequired[PairStatistics]
    gauge: NotRequired[PairStatistics]
    gauge_live: NotRequired[PairStatistics]
    isotropic_live: NotRequired[PairStatistics]
    isotropic: dict[str, Chance]
    """One number, or a matrix over pairs where dictionaries differ in size; the next two alike."""
    isotropic_span: NotRequired[dict[str, Chance]]
    data: NotRequired[dict[str, Chance]]
    p_gauge: NotRequired[dict[str, float]]
    """p-value under gauge scrambles by statistic."""
    cosine_with_start: NotRequired[Float[np.ndarray, " S"]]
    """Mean cosine of latents to their initialization."""


class Comparison(Similarities):
    """All that `measures.measure` finds."""

    rank: NotRequired[dict[str, float]]
    """Effective ranks of the data."""
    best: NotRequired[Float[Tensor, "S S n"]]
    """Best signed cosine of each latent of s with any of t; NaN where s = t."""


_LEVELS: dict[Scope, dict[str, str]] = {
    "full": {level: level for level in ("isotropic", "untrained", "data", "gauge")},
    "live": {"isotropic": "isotropic_live", "gauge": "gauge_live"},
    "span": {"isotropic": "isotropic_span"},
}


def chance_levels(comparison: Similarities, name: str, scope: Scope = "full") -> dict[str, Chance]:
    """Chance levels of a statistic by name, for the same latents and seeds."""
    tables: Mapping = comparison
    return {
        level: tables[table][name]
        for level, table in _LEVELS[scope].items()
        if name in tables.get(table, {})
    }


def level_of_all(drawn: Chance) -> Chance:
    """A chance level of each pair, or its mean if it was not drawn for every seed."""
    if isinstance(drawn, np.ndarray) and np.isnan(drawn).all(axis=1).any():
        return float(np.nanmean(drawn))
    return drawn
