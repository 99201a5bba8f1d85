"""Recurrence on planted truth: of latents by kind of unit, and of the spans of blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from audit.analyses.planted.stages import PlantedArmResult
from audit.experiments.common.summary import scalar
from audit.experiments.planted.experiment import THRESHOLD
from audit.pipeline.results import Scalar
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic

Kind = Literal["singles", "blocks"]
KINDS: tuple[Kind, ...] = ("singles", "blocks")
Table = Literal["best", "best_turned", "best_gauge", "nearest", "nearest_gauge", "expected"]
"""Tables of latents in `PlantedArmResult`."""
Measure = Literal["overlap", "angle"]
"""Tables of spans."""
Statistic = Callable[[ndarray], float]
"""A number computed from the seeds with these indices."""


@dataclass(frozen=True, eq=False)
class PlantedArm:
    """Dictionaries of one planted truth, with statistics over some of their seeds."""

    result: PlantedArmResult
    """What the arm's stage found."""

    @property
    def seeds(self) -> Int[ndarray, " S"]:
        """Indices of all dictionaries."""
        return np.arange(len(self.result["owner"]))

    def at(self, seeds: Sequence[int] | ndarray) -> Int[ndarray, " some"]:
        """Indices of the dictionaries of some seeds."""
        return np.flatnonzero(np.isin(self.result["seeds"], seeds))

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

    def each(
        self, table: Table, seeds: ndarray, threshold: float | None = None
    ) -> Float[ndarray, "S n"]:
        """Mean of a table over the other given seeds; with a threshold the share that reaches it.

        With a threshold and the table `best` this is p̂.
        """
        values = self.result[table][np.ix_(seeds, seeds)]
        if threshold is not None:
            values = np.where(np.isnan(values), np.nan, values >= threshold)
        others = ~np.eye(len(seeds), dtype=bool)
        return values[others].reshape(len(seeds), len(seeds) - 1, -1).mean(axis=1)

    def mean(self, kind: Kind, table: Table, threshold: float | None = None) -> Statistic:
        """Mean of `each` over the latents of a kind; 0 if there are none."""
        of_kind = self.owned(self.units(kind))

        def mean(seeds: ndarray) -> float:
            chosen = self.each(table, seeds, threshold)[of_kind[seeds]]
            return float(chosen.mean()) if chosen.size else 0.0

        return mean

    def p(self, kind: Kind, table: Table = "best", threshold: float = THRESHOLD) -> Statistic:
        """Mean p̂ of the latents of a kind."""
        return self.mean(kind, table, threshold)

    def spans(self, measure: Measure, level: str) -> Statistic:
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

    def estimate(
        self, of: Statistic, minus: Statistic | None = None, digits: int = 3, unit: str = "", **more
    ) -> Scalar:
        """Printed value of a statistic, or of a difference of two, with its interval."""
        return scalar(self.interval(of, minus), digits, unit, **more)
