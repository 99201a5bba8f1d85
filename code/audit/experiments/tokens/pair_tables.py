"""Tables over pairs of seeds, one per statistic, from the partners of single latents.

Live latents of two arms differ in firing rate, and latents that fire often are learned sooner. A
frequency-matched statistic weights the live latents of an arm so that their firing rates are
distributed as in a reference arm (direct standardization). Only bins of firing rate that hold
enough latents of both arms count, and the reference is read on those bins alone.
"""

from collections.abc import Collection
from typing import Literal, TypedDict

import numpy as np
from jaxtyping import Float, Int

from audit.analyses.partners import SeedPartners
from audit.evaluation.results import HeldoutEvaluation
from audit.experiments.tokens.experiment import THRESHOLDS
from seedstability.similarity.comparison import Chance, level_of_all
from seedstability.similarity.names import LEVELS

STATISTICS = ("max_cosine", "matched_median", "matched_mean", *THRESHOLDS)
Scope = Literal["full", "live"]
SCOPES: tuple[Scope, ...] = ("full", "live")
FREQUENCY_MATCHED = STATISTICS[1:]
"""Statistics of one-to-one matching; nearest partners repeat, so their rates are not matched."""

_EDGES = 10.0 ** np.arange(-6.0, 0.01, 0.5)
"""Edges of bins of firing rate, half a decade wide. In narrower bins the weights would be noise."""
_MIN_LATENTS_PER_BIN = 10
"""Latents, over all seeds, that a bin needs in both arms."""


class TokensArm(TypedDict):
    """Results of an arm's stages, as a measuring stage receives them."""

    evaluation: HeldoutEvaluation
    partners: SeedPartners


class MeasuredArm:
    """Results of an arm's stages, over some of its seeds."""

    def __init__(self, found: TokensArm, seeds: Collection[int] | None = None):
        """Read the given seeds, or those of them that the arm has; all if None."""
        self.found = found
        self.evaluation, self.partners = found["evaluation"], found["partners"]
        there = self.partners["seeds"]
        self.at: Int[np.ndarray, " read"] = np.flatnonzero(
            np.isin(there, there if seeds is None else list(seeds))
        )
        """Indices of the seeds that are read."""

    @property
    def seeds(self) -> list[int]:
        """The seeds that are read."""
        return self.partners["seeds"][self.at].tolist()

    @property
    def rates(self) -> Float[np.ndarray, "S n"]:
        """Share of held-out tokens on which each latent of every seed fires."""
        return self.evaluation["heldout"]["firing_rate"]

    def table(
        self, name: str, level: str = "trained", scope: Scope = "live", weights=None
    ) -> np.ndarray:
        """Compute a statistic for each pair of the seeds; NaN where none was compared.

        Args:
            name: one of `STATISTICS`.
            level: `trained`, or a chance level.
            scope: `full` or `live`.
            weights: one per bin of firing rate, from `frequency_weights`; equal if None.
        """
        found = self.partners[scope][level]
        pairs = self.partners["pairs" if level == "trained" else "chance_pairs"]
        table = np.full((len(self.partners["seeds"]),) * 2, np.nan)
        for at in np.flatnonzero(np.isin(pairs, self.at).all(axis=1)):
            i, j = pairs[at]
            if name == "max_cosine":
                value = found["max_cosine"][at]
            else:
                value = self._pair_statistic(
                    name, found["cosine"][at], found["partner"][at], i, j, weights
                )
            table[i, j] = table[j, i] = value
        return table[np.ix_(self.at, self.at)]

    def chance(self, name: str, level: str, scope: Scope = "live", weights=None) -> Chance:
        """Chance level of each pair, or its mean if it was not drawn for every seed."""
        return level_of_all(self.table(name, level, scope, weights))

    def levels(self, name: str, scope: Scope, weights=None) -> dict[str, Chance]:
        """All chance levels of a statistic."""
        return {level: self.chance(name, level, scope, weights) for level in LEVELS}

    def bins(self) -> np.ndarray:
        """Live latents of all seeds in each bin of firing rate."""
        rates = self.rates[self.at]
        return np.bincount(_bin(rates[rates > 0]), minlength=len(_EDGES))

    def _pair_statistic(self, name: str, cosine, partner, i: int, j: int, weights) -> float:
        matched = partner >= 0
        if not matched.any():
            return np.nan
        values = cosine[matched].astype(float)
        if weights is None:
            return statistic(name, values, np.ones(len(values)))
        own, theirs = self.rates[i][matched], self.rates[j][partner[matched]]
        return statistic(name, values, 0.5 * (weights[_bin(own)] + weights[_bin(theirs)]))


def frequency_weights(
    arm: MeasuredArm, reference: MeasuredArm
) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights that give an arm the distribution of firing rates of a reference arm.

    Returns:
        Weights per bin for `arm` and for `reference` (0 or 1), and the share of the reference's
        live latents in bins that both arms fill.
    """
    ours, theirs = arm.bins(), reference.bins()
    common = (ours >= _MIN_LATENTS_PER_BIN) & (theirs >= _MIN_LATENTS_PER_BIN)
    weights = np.where(common, theirs / np.maximum(ours, 1), 0.0)
    return weights, common.astype(float), float(theirs[common].sum() / max(theirs.sum(), 1))


def statistic(name: str, values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean, median or share above a threshold; NaN if all weights are zero."""
    total = weights.sum()
    if not total > 0:
        return np.nan
    if name in THRESHOLDS:
        return float(weights[values >= THRESHOLDS[name]].sum() / total)
    if name == "matched_mean":
        return float(weights @ values / total)
    if (weights == weights[0]).all():
        return float(np.median(values))
    order = np.argsort(values)
    return float(values[order][np.searchsorted(weights[order].cumsum(), 0.5 * total)])


def _bin(rates: np.ndarray) -> np.ndarray:
    return np.clip(np.searchsorted(_EDGES, rates, side="right") - 1, 0, len(_EDGES) - 1)
