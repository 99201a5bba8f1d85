"""Recurrence on planted truth: of latents by kind of unit, and of the spans of blocks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic

Kind = Literal["singles", "blocks"]
KINDS: tuple[Kind, ...] = ("singles", "blocks")


@dataclass(frozen=True, eq=False)
class PlantedArm:
    """Result of `analyses.planted.stages:planted_arm`, with statistics over some of its seeds."""

    result: Mapping
    """The result of that stage."""

    @property
    def n_seeds(self) -> int:
        """Number of dictionaries."""
        return len(self.result["owner"])

    def of(self, kind: Kind) -> Bool[ndarray, "S n"]:
        """Mask of latents that belong to units of this kind."""
        owner, singles = self.result["owner"], self.result["singles"]
        return owner >= singles if kind == "blocks" else (owner >= 0) & (owner < singles)

    def units(self, kind: Kind) -> Int[ndarray, " units"]:
        """Indices of the units of this kind."""
        singles = self.result["singles"]
        every = np.arange(len(self.result["rank"]))
        return every[singles:] if kind == "blocks" else every[:singles]

    def each(self, table: str, seeds: ndarray, threshold: float | None = None) -> ndarray:
        """Mean of a table over the other given seeds, [S, n]; with a threshold the share above it.

        With a threshold and the table `best` this is p̂.
        """
        values = self.result[table][np.ix_(seeds, seeds)]
        if threshold is not None:
            values = np.where(np.isnan(values), np.nan, values >= threshold)
        others = ~np.eye(len(seeds), dtype=bool)
        return values[others].reshape(len(seeds), len(seeds) - 1, -1).mean(axis=1)

    def mean(self, table: str, kind: Kind, seeds: ndarray, threshold: float | None = None) -> float:
        """Mean of `each` over the latents of a kind; 0 if there are none."""
        chosen = self.each(table, seeds, threshold)[self.of(kind)[seeds]]
        return float(chosen.mean()) if chosen.size else 0.0

    def spans(self, measure: str, level: str, seeds: ndarray) -> float:
        """Mean of `overlap` or `angle` over pairs of seeds and blocks that both seeds have.

        All levels are averaged over the same pairs and blocks.
        """
        some = np.ix_(seeds, seeds)
        values = self.result[measure][level][some]
        there = ~np.isnan(self.result[measure]["other"][some])
        return float(values[there].mean()) if there.any() else 0.0

    def interval(self, of: Callable[[ndarray], float]) -> Interval:
        """Jackknife interval of a statistic of at least two seeds."""
        return jackknife_statistic(of, self.n_seeds, group=2)

    def latents_of(self, unit: int) -> Float[ndarray, " S"]:
        """Number of latents that each seed has for a unit, [S]."""
        return (self.result["owner"] == unit).sum(axis=1).astype(float)
