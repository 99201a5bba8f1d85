"""Votes of seeds on each other's latents, and laws fitted to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from seedstability.errors import UserError
from seedstability.stability.statistics.beta_binomial import (
    BetaLaw,
    beta_binomial_fit,
    law_from_unshared,
    unshared_and_unanimous_shares,
)
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic

KINDS = ("found", "found_live", "shared", "gauge", "gauge_live")
"""Found: a decoder row of the other seed is close, whoever else it is close to; the same among live
latents; shared, as the fifth report counts; and found after the other seed was gauge-scrambled."""
_TABLES = {"found": "best", "found_live": "best_live"}


@dataclass(frozen=True, eq=False)
class RecurrenceTable:
    """Who has found whose latents."""

    found: np.ndarray
    """[s, t, i]: whether latent i of seed s is in seed t; false where s = t."""
    counted: np.ndarray
    """[s, i]: latents that are asked about."""

    @classmethod
    def of(cls, recurrence: Mapping, kind: str, threshold: float) -> "Ballot":
        """One kind of votes from the recurrence stage."""
        live = recurrence["live"]
        counted = live if kind.endswith("live") else np.ones_like(live)
        if kind == "shared":
            return cls(recurrence["shared"], counted)
        # Nothing stands on the diagonal, and nothing is not above a threshold.
        return cls(recurrence[_TABLES.get(kind, kind)] >= threshold, counted)

    @property
    def n_seeds(self) -> int:
        """Seeds that vote."""
        return len(self.found)

    def counts(self, seeds: np.ndarray) -> np.ndarray:
        """Votes on all latents of these seeds by one another."""
        counts = self.found[np.ix_(seeds, seeds)].sum(axis=1)
        return counts[self.counted[seeds]]

    def shares(self, seeds: np.ndarray, others: int) -> tuple[float, float]:
        """Shares that none and that all of so many other seeds have, over all choices of them.

        Where a seed is left out and too few others remain, as many as there are: the jackknife
        takes differences, and what all of them have in common does not count.
        """
        there = len(seeds) - 1
        return unshared_and_unanimous_shares(self.counts(seeds), there, min(others, there))

    def law(self, seeds: np.ndarray) -> BetaLaw:
        """The law that is most likely, given all votes of these seeds."""
        fit = beta_binomial_fit(self.counts(seeds), len(seeds) - 1)
        return BetaLaw(fit.a, fit.b)

    def interval(self, of: Callable[[np.ndarray], float]) -> Interval:
        """Of anything computed from some of the seeds, of three at least."""
        return jackknife_statistic(of, self.n_seeds, group=3)


class Extrapolation:
    """What all choices of three seeds foretell about more of them."""

    def __init__(self, table: RecurrenceTable):
        """Fit a law on each choice."""
        self.table = table
        one, two, self.size = _missed(table)
        self.triples = np.array(list(combinations(range(table.n_seeds), 3)))
        self.laws = [_law_from_three(one, two, self.size, triple) for triple in self.triples]
        self._unshared = cache(self._of_each)

    def unshared(self, others: int) -> np.ndarray:
        """Foretold share that none of so many others has, one a choice of three."""
        return self._unshared(others)

    def mean(self, seeds: np.ndarray, others: int) -> float:
        """Mean over the choices among these seeds."""
        inside = np.isin(self.triples, seeds).all(axis=1)
        return float(self.unshared(others)[inside].mean())

    def error(self, seeds: np.ndarray, others: int) -> float:
        """Foretold less observed, over the choices among these seeds."""
        reached = min(others, len(seeds) - 1)
        return self.mean(seeds, reached) - self.table.shares(seeds, reached)[0]

    def _of_each(self, others: int) -> np.ndarray:
        return np.array([law.unshared(others) for law in self.laws])


def _missed(table: RecurrenceTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents of s that t misses [s, t], that both t and u miss [s, t, u], and all of s [s]."""
    missed = (~table.found & table.counted[:, None]).astype(float)
    return missed.sum(axis=2), missed @ missed.transpose(0, 2, 1), table.counted.sum(axis=1)


def _law_from_three(
    one: np.ndarray, two: np.ndarray, size: np.ndarray, triple: np.ndarray
) -> BetaLaw:
    """The most likely law of three seeds' votes.

    With two votes a latent the law's two parameters meet the two free shares exactly, where a beta
    law can; elsewhere the likelihood has its maximum at an edge.
    """
    turns = [(s, *(t for t in triple if t != s)) for s in triple]
    total = sum(size[s] for s, _, _ in turns)
    by_one = sum(one[s, t] + one[s, u] for s, t, u in turns) / (2 * total)
    by_two = sum(two[s, t, u] for s, t, u in turns) / total
    try:
        return law_from_unshared(by_one, by_two)
    except UserError:
        none, any_of_two = round(by_two * total), round(2 * (by_one - by_two) * total)
        counts = np.repeat([0, 1, 2], [none, any_of_two, total - none - any_of_two])
        fit = beta_binomial_fit(counts, 2)
        return BetaLaw(fit.a, fit.b)
