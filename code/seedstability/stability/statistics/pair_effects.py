"""Does any seed, or any pair of seeds, stand out among all pairs? NumPy only.

Similarities of pairs that share a seed are not independent, so a pair may look odd because one of
its seeds is. The model is x_ij = μ + s_i + s_j + e_ij over all pairs of different seeds.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

_POWER = 0.8
_LEVEL = 0.05
_SHIFTS = np.arange(0.0, 60.0, 0.25)
"""Effects of one pair that are tried, in standard deviations of luck."""


class PairEffects(NamedTuple):
    """What stands out, and what would have been seen to."""

    highest: float
    """Largest value of a pair less the mean of all."""
    lowest: float
    """Smallest value of a pair less the mean of all, below zero."""
    seed_sd: float
    """Standard deviation of the seeds' effects s_i as estimated, luck included."""
    pair_sd: float
    """Standard deviation of e_ij, the luck of a pair."""
    p_seed: float
    """That some seed's mean is so far off if values belong to pairs by luck alone: values permuted
    over pairs."""
    p_pair: float
    """That the largest |e_ij|, in units of its own spread, is so large if e is normal luck."""
    smallest_pair: float
    """Effect of a single pair that p_pair ≤ 0.05 finds with 80% power."""


def pair_effects(
    values: Float[ndarray, "S S"], generator: Generator, draws: int = 1_999
) -> PairEffects:
    """Test one symmetric matrix of pairs, all of which were looked at.

    Args:
        values: the diagonal is never read.
        generator: for the permutations and for the normal luck.
        draws: of each.

    Raises:
        ValueError: for fewer than four seeds, of which pairs and seeds cannot be told apart, or
            for values that are not finite.
    """
    n_seeds = len(values)
    first, second = np.triu_indices(n_seeds, 1)
    x = np.asarray(values, dtype=float)[first, second]
    if n_seeds < 4 or not np.isfinite(x).all():
        raise ValueError(f"{n_seeds} seeds; need at least 4, and a finite value of every pair")
    design = np.zeros((len(x), n_seeds))
    design[np.arange(len(x)), first] = design[np.arange(len(x)), second] = 1.0
    of_seeds = design @ np.linalg.pinv(design)
    centred = x - x.mean()
    effects, luck = np.linalg.pinv(design) @ centred, centred - of_seeds @ centred
    freedom = len(x) - n_seeds
    sd = float(np.sqrt((luck**2).sum() / freedom))

    shuffled = generator.permuted(np.tile(centred, (draws, 1)), axis=1)
    null = generator.standard_normal((draws, len(x)))
    extreme = _largest(null - null @ of_seeds, freedom)
    observed = _largest(luck[None], freedom)[0] if sd > 0 else 0.0
    return PairEffects(
        highest=float(centred.max()),
        lowest=float(centred.min()),
        seed_sd=float(effects.std(ddof=1)),
        pair_sd=sd,
        p_seed=_reaching(_farthest(centred[None], design)[0], _farthest(shuffled, design)),
        p_pair=_reaching(observed, extreme),
        smallest_pair=sd * _detectable(null, of_seeds, extreme, freedom),
    )


def _largest(luck: ndarray, freedom: int) -> ndarray:
    """Largest |e| of each row, in units of the row's own standard deviation."""
    return np.abs(luck).max(axis=1) / np.sqrt((luck**2).sum(axis=1) / freedom)


def _farthest(centred: ndarray, design: ndarray) -> ndarray:
    """Largest distance of a seed's mean over its pairs from the mean over all."""
    return np.abs(centred @ design).max(axis=1) / (design.shape[1] - 1)


def _reaching(observed: float, drawn: ndarray) -> float:
    return float((1 + (drawn >= observed * (1 - 1e-12)).sum()) / (1 + len(drawn)))


def _detectable(null: ndarray, of_seeds: ndarray, extreme: ndarray, freedom: int) -> float:
    """Smallest shift of one pair, in its standard deviations, that is found with the power."""
    critical = np.quantile(extreme, 1 - _LEVEL)
    for shift in _SHIFTS:
        moved = null.copy()
        moved[:, 0] += shift
        if (_largest(moved - moved @ of_seeds, freedom) > critical).mean() >= _POWER:
            return float(shift)
    return float("inf")
