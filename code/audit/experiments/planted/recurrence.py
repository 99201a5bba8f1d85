"""Recurrence on planted truth: of latents by kind of unit, and of the spans of blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from audit.analyses.planted.stages import PlantedArmResult
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic

Kind = Literal["singles", "blocks"]
KINDS: tuple[Kind, ...] = ("singles", "blocks")
Table = Literal["best", "best_turned", "best_gauge", "nearest", "nearest_gauge", "expected"]
"""Tables of latents in `PlantedArmResult`."""
Statistic = Callable[[ndarray], float]
"""A number computed from the seeds with these indices."""
THRESHOLD, STRICT = 0.7, 0.9
"""Cosines from which a latent recurs."""


@dataclass(frozen=True, eq=False)
class PlantedArm:
    """Dictionaries of one planted truth, with statistics over some of their seeds."""

    result: PlantedArmResult
    """What the arm's stage found."""

    @property
    def seeds(self) -> Int[ndarray, " S"]:
        """Indices of all dictionaries."""
        return np.arange(len(self.result["owner"]))

    def units(self, kind: Kind) -> Int[ndarray, " units"]:
        """Indices of the units of this kind."""
        first = np.arange(len(self.result["rank"])) < self.result["singles"]
        return np.flatnonzero(first if kind == "singles" else ~first)

    def latents_of(self, units: Int[ndarray, " units"]) -> Float[ndarray, "units S"]:
        """Number of latents that each seed has for each unit."""
        return np.array([(self.result["owner"] == unit).sum(1) for unit in units], float)

    def owned(self, units: Int[ndarray, " units"]) -> Bool[ndarray, "S n"]:
        """Mask of latents that belong to these units."""
        return np.isin(self.result["owner"], units)

    def each(self, table: Table, seeds: ndarray) -> Float[ndarray, "S n"]:
        """Mean of a table over the other given seeds."""
        return _over_others(self.result[table][np.ix_(seeds, seeds)])

    def p(
        self, seeds: ndarray, threshold: float = THRESHOLD, table: Table = "best"
    ) -> Float[ndarray, "S n"]:
        """p̂: share of the other given seeds in which each latent recurs."""
        values = self.result[table][np.ix_(seeds, seeds)]
        return _over_others(np.where(np.isnan(values), np.nan, values >= threshold))

    def mean(self, kind: Kind, table: Table) -> Statistic:
        """Mean of `each` over the latents of a kind; 0 if there are none."""
        return lambda seeds: self._mean(self.each(table, seeds), kind, seeds)

    def reproducibility(
        self, kind: Kind, table: Table = "best", threshold: float = THRESHOLD
    ) -> Statistic:
        """Mean of p̂ over the latents of a kind; 0 if there are none."""
        return lambda seeds: self._mean(self.p(seeds, threshold, table), kind, seeds)

    def spans(self, measure: Literal["overlap", "angle"], level: str) -> Statistic:
        """Mean over pairs of seeds and blocks that both seeds have, the same for all levels."""
        tables = self.result[measure]

        def mean(seeds: ndarray) -> float:
            some = np.ix_(seeds, seeds)
            there = ~np.isnan(tables["other"][some])
            return float(tables[level][some][there].mean()) if there.any() else 0.0

        return mean

    def interval(self, of: Statistic, minus: Statistic | None = None) -> Interval:
        """Jackknife interval of a statistic of at least two seeds, or of a difference of two."""

        def difference(seeds: ndarray) -> float:
            return of(seeds) - minus(seeds) if minus else of(seeds)

        return jackknife_statistic(difference, len(self.seeds), group=2)

    def _mean(self, values: Float[ndarray, "S n"], kind: Kind, seeds: ndarray) -> float:
        chosen = values[self.owned(self.units(kind))[seeds]]
        return float(chosen.mean()) if chosen.size else 0.0


def _over_others(values: Float[ndarray, "S S n"]) -> Float[ndarray, "S n"]:
    n_seeds = len(values)
    others = ~np.eye(n_seeds, dtype=bool)
    return values[others].reshape(n_seeds, n_seeds - 1, -1).mean(axis=1)
