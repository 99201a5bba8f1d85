"""From the partners of single latents to a table over pairs of seeds, one a statistic.

Live latents of two arms differ in how often they fire, and what fires often is learnt sooner. A
figure is frequency-matched when the live latents of an arm are weighted so that their rates of
firing are distributed as in another arm (direct standardisation): only bins of rate that hold
enough latents of both count, and the other arm is then read on those bins alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seedstability.similarity.names import LEVELS, Chance

THRESHOLDS = {"at_least_05": 0.5, "at_least_07": 0.7, "at_least_09": 0.9}
STATISTICS = ("max_cosine", "matched_median", "matched_mean", *THRESHOLDS)
SCOPES = ("full", "live")
FREQUENCY_MATCHED = STATISTICS[1:]
"""Best partners are not matched one to one and have no rate of their own."""

_EDGES = 10.0 ** np.arange(-6.0, 0.01, 0.5)
"""Half a decade a bin: fewer latents than that a bin, and the weights would be luck."""
_MIN_LATENTS_PER_BIN = 10
"""Latents of all seeds that a bin needs in both arms."""


@dataclass(frozen=True)
class MeasuredArm:
    """An arm as its stages have measured it."""

    evaluation: Mapping
    """Of `evaluation.stages:evaluate`."""
    partners: Mapping
    """Of `analyses.partners:partners`."""
    seeds: int
    """Only so many seeds are read, from the first on."""

    @classmethod
    def of(cls, inputs: Mapping[str, dict], name: str, seeds: int | None = None) -> "Measured":
        """The arm of this name among the inputs of a measuring stage."""
        evaluation, partners = inputs[f"{name}__evaluation"], inputs[f"{name}__partners"]
        there = len(evaluation["live"])
        return cls(evaluation, partners, min(seeds or there, there))

    def first(self, seeds: int) -> "Measured":
        """The same arm, of fewer seeds."""
        return MeasuredArm(self.evaluation, self.partners, min(seeds, self.seeds))

    @property
    def slice(self) -> slice:
        """The seeds that are read."""
        return slice(0, self.seeds)

    @cached_property
    def rates(self) -> np.ndarray:
        """Share of held-out tokens on which each latent fires, [S, n]."""
        return self.evaluation["heldout"]["firing_rate"]

    def table(
        self, name: str, level: str = "trained", scope: str = "live", weights=None
    ) -> np.ndarray:
        """[S, S] of a statistic, NaN where a pair was not looked at.

        Args:
            name: of `STATISTICS`.
            level: `trained`, or a chance level.
            scope: `full` or `live`.
            weights: of bins of firing rate, from `weights_to`; all latents count alike without.
        """
        found = self.partners[scope][level]
        pairs = self.partners["pairs" if level == "trained" else "chance_pairs"]
        table = np.full((self.seeds, self.seeds), np.nan)
        for at, (i, j) in enumerate(pairs):
            if max(i, j) >= self.seeds:
                continue
            if name == "max_cosine":
                value = found[name][at]
            else:
                value = self._pair_statistic(
                    name, found["cosine"][at], found["partner"][at], i, j, weights
                )
            table[i, j] = table[j, i] = value
        return table

    def chance(self, name: str, level: str, scope: str = "live", weights=None) -> Chance:
        """The level of each pair, or one for all where it was not drawn with every seed."""
        table = self.table(name, level, scope, weights)
        whole = not np.isnan(table).all(axis=1).any()
        return table if whole else float(np.nanmean(table))

    def levels(self, name: str, scope: str, weights=None) -> dict[str, Chance]:
        """All chance levels of a statistic."""
        return {level: self.chance(name, level, scope, weights) for level in LEVELS}

    def bins(self) -> np.ndarray:
        """Live latents of all seeds in each bin of firing rate."""
        rates = self.rates[self.slice]
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
    """Weights that give two arms the same distribution of firing rates, the reference's.

    Returns:
        A weight a bin for `arm`, one for `reference` (0 or 1), and the share of the reference's
        live latents that lie in bins both arms fill.
    """
    ours, theirs = arm.bins(), reference.bins()
    common = (ours >= _MIN_LATENTS_PER_BIN) & (theirs >= _MIN_LATENTS_PER_BIN)
    weights = np.where(common, theirs / np.maximum(ours, 1), 0.0)
    return weights, common.astype(float), float(theirs[common].sum() / max(theirs.sum(), 1))


def statistic(name: str, values: np.ndarray, weights: np.ndarray) -> float:
    """A weighted mean, median or share above a threshold; NaN without any weight."""
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
