"""Recurrence of latents in other seeds, and beta-binomial laws fitted to it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from audit.analyses.recurrence import Recurrence
from seedstability.errors import UserError
from seedstability.stability.statistics.beta_binomial import (
    BetaLaw,
    beta_binomial_fit,
    law_from_unshared,
    unshared_and_unanimous_shares,
)
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic

Kind = Literal["found", "found_live", "shared", "gauge", "gauge_live"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Criteria of recurrence. `found`: a decoder row of the other seed is close, matched or not.
`found_live`: the same among live latents. `shared`: as the fifth report counts. `gauge`,
`gauge_live`: found after a gauge scramble of the other seed."""


@dataclass(frozen=True, eq=False)
class RecurrenceTable:
    """Which latents recur in which other seeds."""

    found: np.ndarray
    """[s, t, i]: whether latent i of seed s recurs in seed t; false where s = t."""
    counted: np.ndarray
    """[s, i]: latents that count."""

    @classmethod
    def of(cls, recurrence: Recurrence, kind: Kind, threshold: float) -> "RecurrenceTable":
        """Apply one criterion of `KINDS` to the result of the recurrence stage."""
        live = recurrence["live"]
        counted = live if kind.endswith("live") else np.ones_like(live)
        if kind == "shared":
            return cls(recurrence["shared"], counted)
        cosines = {
            "found": recurrence["best"],
            "found_live": recurrence["best_live"],
            "gauge": recurrence["gauge"],
            "gauge_live": recurrence["gauge_live"],
        }
        # The diagonal is NaN, which is above no threshold.
        return cls(cosines[kind] >= threshold, counted)

    @property
    def n_seeds(self) -> int:
        """Number of seeds."""
        return len(self.found)

    def counts(self, seeds: np.ndarray) -> np.ndarray:
        """Recurrence counts: in how many of the other given seeds each latent recurs."""
        counts = self.found[np.ix_(seeds, seeds)].sum(axis=1)
        return counts[self.counted[seeds]]

    def shares(self, seeds: np.ndarray, others: int) -> tuple[float, float]:
        """Shares of latents that recur in none and in all of `others` other seeds.

        Both are means over all choices of the other seeds. If the jackknife leaves fewer than
        `others`, all that remain are used: it takes differences, in which common terms cancel.
        """
        there = len(seeds) - 1
        return unshared_and_unanimous_shares(self.counts(seeds), there, min(others, there))

    def law(self, seeds: np.ndarray) -> BetaLaw:
        """Fit a beta-binomial law by maximum likelihood to the counts of these seeds."""
        fit = beta_binomial_fit(self.counts(seeds), len(seeds) - 1)
        return BetaLaw(fit.a, fit.b)

    def interval(self, of: Callable[[np.ndarray], float]) -> Interval:
        """Jackknife interval of a statistic of at least three seeds."""
        return jackknife_statistic(of, self.n_seeds, group=3)


class Extrapolation:
    """Recurrence in more seeds, predicted from every choice of three."""

    def __init__(self, table: RecurrenceTable):
        """Fit a law to each triple of seeds."""
        self.table = table
        one, two, self.size = _missed(table)
        self.triples = np.array(list(combinations(range(table.n_seeds), 3)))
        self.laws = [_law_from_three(one, two, self.size, triple) for triple in self.triples]
        self._unshared = cache(self._of_each)

    def unshared(self, others: int) -> np.ndarray:
        """Predicted share of latents that recur in none of `others` seeds, one per triple."""
        return self._unshared(others)

    def mean(self, seeds: np.ndarray, others: int) -> float:
        """Mean prediction over the triples among these seeds."""
        inside = np.isin(self.triples, seeds).all(axis=1)
        return float(self.unshared(others)[inside].mean())

    def error(self, seeds: np.ndarray, others: int) -> float:
        """Predicted minus observed share, over the triples among these seeds."""
        reached = min(others, len(seeds) - 1)
        return self.mean(seeds, reached) - self.table.shares(seeds, reached)[0]

    def _of_each(self, others: int) -> np.ndarray:
        return np.array([law.unshared(others) for law in self.laws])


def _missed(table: RecurrenceTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents of s missing from t [s, t] and from both t and u [s, t, u]; all latents of s [s]."""
    missed = (~table.found & table.counted[:, None]).astype(float)
    return missed.sum(axis=2), missed @ missed.transpose(0, 2, 1), table.counted.sum(axis=1)


def _law_from_three(
    one: np.ndarray, two: np.ndarray, size: np.ndarray, triple: np.ndarray
) -> BetaLaw:
    """Maximum-likelihood law of three seeds.

    Each latent has two other seeds, so the counts have two free shares. The law's two parameters
    match them exactly where a beta law can; elsewhere the maximum lies at an edge.
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
