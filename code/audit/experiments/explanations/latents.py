"""Explained latents of several seeds, and statistics over seeds and pairs of seeds."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from audit.evaluation.explanation.stages import Explained


class ExplainedLatents(NamedTuple):
    """Explained latents of one seed; each array has one entry per latent."""

    latent: ndarray
    """Index of the latent."""
    rate: ndarray
    """Share of tokens on which it fires."""
    score: ndarray
    """Detection score of its rule."""
    random: ndarray
    """Detection score for a random direction that fires as often; NaN if not scored."""
    swapped: ndarray
    """Detection score of another latent's rule."""
    strong: ndarray
    """Detection score on the windows of its strongest activations."""
    strong_random: ndarray
    """Detection score on such windows for the random direction."""
    predicates: ndarray
    """Number of predicates in its rule."""


class AlignedLatents(NamedTuple):
    """Explained latents of one seed, aligned with another seed."""

    of: ExplainedLatents
    """The latents."""
    cosine: ndarray
    """Alignment of each latent with its partner."""
    shared: ndarray
    """Whether the alignment exceeds the threshold."""


def explained_latents(explained: Explained) -> list[ExplainedLatents]:
    """Split the tables of the `explain` stage by seed, and drop the padding."""
    tables: Mapping[str, Any] = explained
    return [
        ExplainedLatents(*(tables[name][seed][row >= 0] for name in ExplainedLatents._fields))
        for seed, row in enumerate(explained["latent"])
    ]


def per_seed(
    drawn: list[ExplainedLatents], measure: Callable[[ExplainedLatents], float]
) -> ndarray:
    """Evaluate a measure on each seed."""
    return np.array([float(measure(d)) for d in drawn])


class SeedPairs(NamedTuple):
    """Explained latents with their alignment to every other seed."""

    drawn: list[ExplainedLatents]
    """Explained latents of each seed."""
    alignment: ndarray
    """Alignment of all latents, [S, S, n]."""
    threshold: float
    """Alignment above which a latent is shared."""

    def rows(self) -> Iterator[list[AlignedLatents]]:
        """Yield, for each seed, its latents aligned with each of the other seeds."""
        seeds = range(len(self.drawn))
        for s in seeds:
            yield [self.against(s, t) for t in seeds if t != s]

    def against(self, s: int, t: int) -> AlignedLatents:
        """Align the explained latents of seed s with seed t."""
        cosine = self.alignment[s, t, self.drawn[s].latent]
        return AlignedLatents(self.drawn[s], cosine, cosine > self.threshold)

    def table(self, measure: Callable[[AlignedLatents], float]) -> ndarray:
        """Evaluate a measure on each pair of seeds, [S, S], averaged over both directions."""
        seeds = range(len(self.drawn))
        table = np.full((len(seeds),) * 2, np.nan)
        for s in seeds:
            for t in seeds:
                if s != t:
                    table[s, t] = measure(self.against(s, t))
        return (table + table.T) / 2


def above_median(values: ndarray, score: ndarray) -> ndarray:
    """1 where a value exceeds the median score, else 0; NaN stays NaN."""
    return np.where(np.isnan(values), np.nan, values > np.median(score))


def masked_mean(values: ndarray, where: ndarray) -> float:
    """Mean of the values in a mask, without NaN; of all values if the mask has none."""
    there = values[where & ~np.isnan(values)]
    return float(there.mean() if len(there) else np.nanmean(values))


def lowest_tenth(score: ndarray, rate: ndarray) -> float:
    """Ratio of median rates: the tenth with the lowest scores to the rest, without NaN."""
    rate = rate[~np.isnan(score)]
    places = stable_order(score[~np.isnan(score)])
    tenth = max(1, len(places) // 10)
    return float(np.median(rate[places[:tenth]]) / np.median(rate[places[tenth:]]))


def spearman(x: ndarray, y: ndarray) -> float:
    """Rank correlation without NaN; 0 if one of the two is constant."""
    known = ~np.isnan(x) & ~np.isnan(y)
    ranks = np.array([_ranks(x[known]), _ranks(y[known])], float)
    if (ranks.std(axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def partial_spearman(x: ndarray, y: ndarray, given: ndarray) -> float:
    """Partial rank correlation of x and y given `given`."""
    xy, xz, yz = spearman(x, y), spearman(x, given), spearman(y, given)
    return (xy - xz * yz) / max(float(np.sqrt((1 - xz**2) * (1 - yz**2))), 1e-9)


def binned_means(by: ndarray, columns: list[ndarray], bins: int) -> ndarray:
    """Means over bins of equally many latents in order of `by`, [columns, bins]."""
    parts = np.array_split(stable_order(by), bins)
    inside = [np.isin(np.arange(len(by)), part) for part in parts]
    return np.array([[masked_mean(column, part) for part in inside] for column in columns])


def stable_order(values: ndarray) -> ndarray:
    """Indices that sort ascending; ties keep their order."""
    return np.argsort(values, kind="stable")


def _ranks(values: ndarray) -> ndarray:
    """Ranks; ties get the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - counts / 2)[place]
