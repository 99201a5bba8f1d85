"""Similarities as estimates over seeds: value, chance levels, κ, p-value.

The paper's values and the report's entries are both made from these.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from seedstability.similarity.comparison import (
    Chance,
    Scope,
    Similarities,
    chance_levels,
    level_of_all,
)
from seedstability.stability.statistics.jackknife import Interval, jackknife, jackknife_kappa

CORRECTED = ("isotropic", "data", "gauge")
"""Chance levels for κ, weakest first; with a shared initialization the untrained level is 1."""


@dataclass(frozen=True)
class ChanceLevel:
    """One chance level of a statistic."""

    mean: float
    """Mean over the pairs that it was computed for."""
    spread: float
    """Largest minus smallest of these pairs; 0 for a level that is one number."""


@dataclass(frozen=True)
class SimilarityEstimate:
    """One statistic of the dictionaries of several seeds."""

    value: Interval
    """Mean over pairs."""
    chance: Mapping[str, ChanceLevel]
    """Its chance levels by name."""
    kappa: Mapping[str, Interval]
    """Chance-corrected mean, by the level of `CORRECTED` it is corrected for."""
    p_gauge: float | None = None
    """p-value under gauge scrambles, where it was computed."""
    n_seeds: int = 0
    """Number of seeds, or of independent values."""


def estimate_similarity(
    values: Float[np.ndarray, "S S"] | Float[np.ndarray, " S"],
    chance: Mapping[str, Chance],
    p_gauge: float | None = None,
) -> SimilarityEstimate:
    """Estimate a similarity and its κ against each level of `CORRECTED`.

    Args:
        values: over pairs of seeds (NaN: not compared), or one value per pair.
        chance: levels by name, one number or drawn values of the shape of `values`.
        p_gauge: p-value under gauge scrambles.

    Raises:
        ValueError: as `jackknife`; among others for a seed that is in no pair.
    """
    return SimilarityEstimate(
        jackknife(values),
        {
            name: ChanceLevel(float(np.nanmean(drawn)), float(np.nanmax(drawn) - np.nanmin(drawn)))
            for name, drawn in chance.items()
        },
        {name: jackknife_kappa(values, chance[name]) for name in CORRECTED if name in chance},
        p_gauge,
        len(values),
    )


def estimate_statistic(
    comparison: Similarities, name: str, scope: Scope = "full", some_seeds: bool = False
) -> SimilarityEstimate | None:
    """Estimate a statistic of a comparison, with all chance levels that it has there.

    Args:
        comparison: of two seeds or more.
        name: the statistic.
        scope: of which latents.
        some_seeds: leave out seeds that are in no pair, and take the mean of a level that was not
            computed for all of the others. `None` where no pair is left.

    Raises:
        ValueError: as `estimate_similarity`.
    """
    values, levels = comparison[scope][name], chance_levels(comparison, name, scope)
    if some_seeds:
        used = compared_seeds(values)
        if len(used) < 2:
            return None
        values = values[np.ix_(used, used)]
        levels = {level: _of_seeds(drawn, used) for level, drawn in levels.items()}
    p_gauge = comparison.get("p_gauge", {}).get(name) if scope == "full" else None
    return estimate_similarity(values, levels, p_gauge)


def compared_seeds(values: Float[np.ndarray, "S S"]) -> np.ndarray:
    """Indices of the seeds that are in some pair."""
    return np.flatnonzero(~np.isnan(values).all(axis=1))


def _of_seeds(chance: Chance, used: np.ndarray) -> Chance:
    if not isinstance(chance, np.ndarray):
        return chance
    return level_of_all(chance[np.ix_(used, used)])
