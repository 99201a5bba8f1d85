"""Single latents in the results of `analyses.alignment:align`: sharing and firing rates.

All tables are over ordered pairs of seeds, [s, t, i] for latent i of seed s in seed t, so that the
jackknife can leave out a seed with all its pairs.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Literal, TypedDict

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy import stats

from audit.analyses.alignment import Alignment
from audit.evaluation.results import Evaluation
from seedstability.stability.statistics.jackknife import (
    MIN_SEEDS,
    Interval,
    jackknife,
    jackknife_statistic,
)

THRESHOLD = 0.7
"""Cosine that both partners of a shared latent exceed, as in 004."""


Assignment = tuple[ndarray, ndarray]
"""Partner of each latent, and the cosine with it."""


class AlignedArm(TypedDict):
    """Results of an arm's stages, as a measuring stage receives them."""

    evaluation: Evaluation
    comparison: Alignment


class Latents:
    """The latents of all seeds of one arm."""

    def __init__(self, arm: AlignedArm, table: Literal["partners", "gauge_partners"] = "partners"):
        """Read `partners`, or `gauge_partners`, which has one direction of each pair only."""
        evaluation, found = arm["evaluation"], arm["comparison"][table]
        self.frequency: Float[ndarray, "S n"] = evaluation["heldout"]["firing_rate"]
        """Share of held-out tokens on which each latent fires."""
        self.live: Bool[ndarray, "S n"] = evaluation["live"]
        both_ways = table == "partners"
        shape = (len(self.live), *self.live.shape)
        self.cosine: Float[ndarray, "S S n"] = np.full(shape, np.nan)
        """Mean of the cosines with the decoder and with the encoder partner (004, figure 3)."""
        self.agreeing: Float[ndarray, "S S n"] = np.full(shape, np.nan)
        """1 where both assignments have the same partner, else 0."""
        self.shared: Float[ndarray, "S S n"] = np.full(shape, np.nan)
        """1 where both cosines exceed `THRESHOLD` as well, else 0."""
        for p, (s, t) in enumerate(found["pair"].tolist()):
            decoders = found["decoder_partner"][p], found["decoder_cosine"][p]
            encoders = found["encoder_partner"][p], found["encoder_cosine"][p]
            self._enter(s, t, decoders, encoders)
            if both_ways:
                self._enter(t, s, _reversed(*decoders), _reversed(*encoders))

    @property
    def compared(self) -> Bool[ndarray, "S S"]:
        """Which ordered pairs were compared."""
        return ~np.isnan(self.agreeing).all(axis=2)

    def _enter(self, s: int, t: int, by_decoder: Assignment, by_encoder: Assignment) -> None:
        (decoder_partner, decoders), (encoder_partner, encoders) = by_decoder, by_encoder
        agreeing = decoder_partner == encoder_partner
        self.cosine[s, t] = 0.5 * (decoders + encoders)
        self.agreeing[s, t] = agreeing
        self.shared[s, t] = agreeing & (decoders > THRESHOLD) & (encoders > THRESHOLD)

    def alignment(self, s: int | np.integer, seeds: ndarray) -> Float[ndarray, " n"]:
        """Mean alignment of the latents of a seed with some other seeds."""
        return self.cosine[s][self._others(s, seeds)].mean(axis=0)

    def sharing(self, s: int | np.integer, seeds: ndarray) -> Float[ndarray, " n"]:
        """Share of some other seeds with which each latent of a seed is shared."""
        return self.shared[s][self._others(s, seeds)].mean(axis=0)

    def _others(self, s: int | np.integer, seeds: ndarray) -> ndarray:
        return np.array([t for t in seeds if self.compared[s, t]], dtype=int)

    def over_pairs(self, value: Callable[[int, int], float]) -> Float[ndarray, "S S"]:
        """Evaluate a function on each ordered pair, and average both directions."""
        matrix = np.full(self.compared.shape, np.nan)
        for s, t in np.argwhere(self.compared):
            matrix[s, t] = value(s, t)
        return 0.5 * (matrix + matrix.T) if self.compared[1, 0] else matrix


def _reversed(partner: ndarray, cosine: ndarray) -> Assignment:
    """The same assignment with its dictionaries exchanged."""
    turned = np.argsort(partner)
    return turned, cosine[turned]


def third_seed(latents: Latents, only_live: bool) -> dict[str, Interval]:
    """Dependence between sharing with one seed and sharing with another.

    Returns:
        Shares of latents: `with_one` not shared with one other seed, `with_two` shared with neither
        of two, `fall` from the former to the latter, and `third`, of those shared with one seed the
        share that the other shares too. If both were independent, `third` would be 1 − `with_one`;
        `excess` is the difference.
    """
    n_seeds, counted = len(latents.live), _triples(latents, only_live)

    def of(seeds: ndarray, name: str) -> float:
        members = set(seeds.tolist())
        chosen = [v for triple, v in counted.items() if set(triple) <= members]
        return _sharing(chosen)[name] if chosen else float("nan")

    if n_seeds >= MIN_SEEDS:
        return {
            name: jackknife_statistic(partial(of, name=name), n_seeds, group=3) for name in _SHARING
        }
    # Three seeds make one triple; the range is over its first seed.
    anchors = [
        _sharing([v for triple, v in counted.items() if triple[0] == a]) for a in range(n_seeds)
    ]
    return {name: jackknife(np.array([each[name] for each in anchors])) for name in _SHARING}


_SHARING = ("with_one", "with_two", "fall", "third", "excess")


def _triples(latents: Latents, only_live: bool) -> dict[tuple[int, int, int], ndarray]:
    """For a seed and two others: shares of its latents shared with one, with either, with both."""
    found = {}
    for a in range(len(latents.live)):
        mask = latents.live[a] if only_live else np.ones_like(latents.live[a])
        others = np.flatnonzero(latents.compared[a]).tolist()
        for b, c in combinations(others, 2):
            one, other = latents.shared[a, b][mask] > 0, latents.shared[a, c][mask] > 0
            once = 0.5 * (one.mean() + other.mean())
            found[a, b, c] = np.array([once, (one | other).mean(), (one & other).mean()])
    return found


def _sharing(triples: list[ndarray]) -> dict[str, float]:
    once, either, both = np.mean(triples, axis=0).tolist()
    third = both / once if once else 0.0
    values = (1 - once, 1 - either, either - once, third, third - once)
    return dict(zip(_SHARING, values, strict=True))


def rank_correlation(latents: Latents) -> Interval:
    """Spearman correlation of frequency and alignment over live latents, mean over seeds."""

    def statistic(seeds: ndarray) -> float:
        return float(np.mean([_spearman(latents, s, seeds) for s in seeds]))

    return jackknife_statistic(statistic, len(latents.live), group=2)


def rank_correlation_by_chance(gauge: Latents) -> float:
    """Rank correlation with gauge-scrambled dictionaries."""
    all_seeds = np.arange(len(gauge.live))
    there = [s for s in all_seeds if gauge.compared[s].any()]
    return float(np.mean([_spearman(gauge, s, all_seeds) for s in there]))


def _spearman(latents: Latents, s: int | np.integer, seeds: ndarray) -> float:
    live = latents.live[s]
    found = stats.spearmanr(latents.frequency[s][live], latents.alignment(s, seeds)[live])
    return float(found.statistic)


def frequent_and_unshared(latents: Latents) -> dict[str, Float[ndarray, "S S"]]:
    """Unshared shares of live latents by firing rate, per pair of seeds.

    Returns:
        Unshared share of `all` live latents, of the `top` tenth by firing rate and of the `bottom`
        tenth; `above_median`, the share of unshared latents that fire more often than the median
        shared latent.
    """

    def of(s: int, t: int, name: str) -> float:
        live = latents.live[s]
        often, shared = latents.frequency[s][live], latents.shared[s, t][live] > 0
        low, high = np.quantile(often, [0.1, 0.9])
        median = np.median(often[shared]) if shared.any() else np.inf
        return {
            "all": float((~shared).mean()),
            "top": float((~shared)[often >= high].mean()),
            "bottom": float((~shared)[often <= low].mean()),
            "above_median": float((often[~shared] > median).mean()) if (~shared).any() else 0.0,
        }[name]

    names = ("all", "top", "bottom", "above_median")
    return {name: latents.over_pairs(partial(of, name=name)) for name in names}


def deciles(latents: Latents, counts: int = 10) -> dict[str, Float[ndarray, "deciles"]]:
    """Alignment over frequency: live latents of all seeds in classes of equal size.

    Returns:
        For each class `frequency` (geometric mean), `median`, `low` and `high` quartile of the
        alignment, and `shared`, the mean share of other seeds with which a latent is shared.
    """
    seeds = np.arange(len(latents.live))
    often = np.concatenate([latents.frequency[s][latents.live[s]] for s in seeds])
    aligned = np.concatenate([latents.alignment(s, seeds)[latents.live[s]] for s in seeds])
    shared = np.concatenate([latents.sharing(s, seeds)[latents.live[s]] for s in seeds])
    classes = np.array_split(np.argsort(often, kind="stable"), counts)
    return {
        "frequency": np.array([np.exp(np.log(often[c]).mean()) for c in classes]),
        "median": np.array([np.median(aligned[c]) for c in classes]),
        "low": np.array([np.quantile(aligned[c], 0.25) for c in classes]),
        "high": np.array([np.quantile(aligned[c], 0.75) for c in classes]),
        "shared": np.array([shared[c].mean() for c in classes]),
    }


def at_equal(long: Latents, short: Latents, times: float) -> dict[str, Interval]:
    """Separate frequency from updates: firing on a share f of T tokens gives f T updates.

    Live latents of both arms are sorted into classes of a quarter of a decade, and the mean
    alignments of classes are compared, weighted by the smaller count.

    Args:
        long: the arm with more tokens.
        short: the arm of the same seeds with fewer tokens.
        times: ratio of the tokens.

    Returns:
        `frequency`: long minus short at equal frequency, the effect of `times` more updates.
        `updates`: short minus long at equal updates, the effect of a frequency higher by `times`
        at the same number of updates.
    """

    def difference(seeds: ndarray, shift: float) -> float:
        (ours, aligned), (theirs, other) = _classes(long, seeds), _classes(short, seeds, shift)
        common = np.intersect1d(ours, theirs)
        if len(common) == 0:
            return float("nan")
        weights = np.array([min((ours == c).sum(), (theirs == c).sum()) for c in common])
        gaps = np.array([aligned[ours == c].mean() - other[theirs == c].mean() for c in common])
        return float(weights @ gaps / weights.sum())

    n_seeds = len(long.live)
    return {
        "frequency": jackknife_statistic(lambda s: difference(s, 0.0), n_seeds, group=2),
        # A latent of frequency f in the short arm has the updates of one of f / times in the long.
        "updates": jackknife_statistic(
            lambda s: -difference(s, -float(np.log10(times))), n_seeds, group=2
        ),
    }


def _classes(latents: Latents, seeds: ndarray, shift: float = 0.0) -> tuple[ndarray, ndarray]:
    often = np.concatenate([latents.frequency[s][latents.live[s]] for s in seeds])
    aligned = np.concatenate([latents.alignment(s, seeds)[latents.live[s]] for s in seeds])
    return np.floor(4 * (np.log10(often) + shift)).astype(int), aligned
