"""Explained latents of several seeds: what is measured of a seed, and of a pair of seeds."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy import ndarray


class ExplainedLatents(NamedTuple):
    """The explained latents of one seed, one entry each."""

    latent: ndarray
    """Its number."""
    rate: ndarray
    """Share of tokens at which it fires."""
    score: ndarray
    """Detection score of its rule."""
    random: ndarray
    """The same of a random direction that fires as often; NaN where that was not scored."""
    swapped: ndarray
    """Detection score of another latent's rule."""
    strong: ndarray
    """Score on the windows in which it is strongest."""
    strong_random: ndarray
    """The same of the random direction."""
    predicates: ndarray
    """Length of its rule."""


class AlignedLatents(NamedTuple):
    """The explained latents of one seed, held against another seed."""

    of: ExplainedLatents
    """The latents."""
    cosine: ndarray
    """Alignment of each with its partner."""
    shared: ndarray
    """Whether that is above the threshold."""


def explained_latents(explained: dict) -> list[ExplainedLatents]:
    """The tables of a stage, seed by seed, without what fills them up."""
    tables = [explained[name] for name in ExplainedLatents._fields]
    return [
        ExplainedLatents(*(table[seed][row >= 0] for table in tables))
        for seed, row in enumerate(explained["latent"])
    ]


def per_seed(
    drawn: list[ExplainedLatents], measure: Callable[[ExplainedLatents], float]
) -> ndarray:
    """A measure of every seed."""
    return np.array([float(measure(d)) for d in drawn])


class SeedPairs(NamedTuple):
    """Explained latents and their alignment to every other seed."""

    drawn: list[ExplainedLatents]
    """Of each seed."""
    alignment: ndarray
    """[S, S, n], of all latents."""
    threshold: float
    """Alignment above which a latent counts as shared."""

    def rows(self) -> Iterator[list[AlignedLatents]]:
        """For each seed its latents, held against each of the others."""
        seeds = range(len(self.drawn))
        for s in seeds:
            yield [self.against(s, t) for t in seeds if t != s]

    def against(self, s: int, t: int) -> AlignedLatents:
        """The latents of s, held against t."""
        cosine = self.alignment[s, t, self.drawn[s].latent]
        return AlignedLatents(self.drawn[s], cosine, cosine > self.threshold)

    def table(self, measure: Callable[[AlignedLatents], float]) -> ndarray:
        """[S, S] of a measure, the mean of both ways; NaN on the diagonal."""
        seeds = range(len(self.drawn))
        table = np.full((len(seeds),) * 2, np.nan)
        for s in seeds:
            for t in seeds:
                if s != t:
                    table[s, t] = measure(self.against(s, t))
        return (table + table.T) / 2


def above_median(values: ndarray, score: ndarray) -> ndarray:
    """1 where a value is above the median score, 0 where not, NaN where there is none."""
    return np.where(np.isnan(values), np.nan, values > np.median(score))


def masked_mean(values: ndarray, where: ndarray) -> float:
    """Mean of what is a number there; of all if that is nothing, so that no group stands out."""
    there = values[where & ~np.isnan(values)]
    return float(there.mean() if len(there) else np.nanmean(values))


def lowest_tenth(score: ndarray, rate: ndarray) -> float:
    """Median rate of the tenth with the lowest scores, over that of the rest; without NaN."""
    rate = rate[~np.isnan(score)]
    places = stable_order(score[~np.isnan(score)])
    tenth = max(1, len(places) // 10)
    return float(np.median(rate[places[:tenth]]) / np.median(rate[places[tenth:]]))


def spearman(x: ndarray, y: ndarray) -> float:
    """Rank correlation without NaN; 0 where one has no spread, and so no order to go with."""
    known = ~np.isnan(x) & ~np.isnan(y)
    ranks = np.array([_ranks(x[known]), _ranks(y[known])], float)
    if (ranks.std(axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def partial_spearman(x: ndarray, y: ndarray, given: ndarray) -> float:
    """Rank correlation of x and y with what goes with `given` taken out of both."""
    xy, xz, yz = spearman(x, y), spearman(x, given), spearman(y, given)
    return (xy - xz * yz) / max(float(np.sqrt((1 - xz**2) * (1 - yz**2))), 1e-9)


def binned_means(by: ndarray, columns: list[ndarray], bins: int) -> ndarray:
    """[columns, bins] means over bins of equally many latents, in order of `by`."""
    parts = np.array_split(stable_order(by), bins)
    inside = [np.isin(np.arange(len(by)), part) for part in parts]
    return np.array([[masked_mean(column, part) for part in inside] for column in columns])


def stable_order(values: ndarray) -> ndarray:
    """Places in ascending order, equals as they come."""
    return np.argsort(values, kind="stable")


def _ranks(values: ndarray) -> ndarray:
    """Ranks, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - counts / 2)[place]
