"""Tests for outlying seeds and outlying pairs of seeds among all pairs.

Similarities of pairs that share a seed are not independent: a pair may look like an outlier because
one of its seeds is. The model is x_ij = μ + s_i + s_j + e_ij over all pairs of different seeds.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

_POWER = 0.8
_LEVEL = 0.05
_SHIFTS = np.arange(0.0, 60.0, 0.25)
"""Candidate effects of one pair, in standard deviations of e_ij."""


class PairEffects(NamedTuple):
    """Outlying seeds and pairs, and the minimum detectable effect of one pair."""

    highest: float
    """Largest value of a pair minus the mean of all."""
    lowest: float
    """Smallest value of a pair minus the mean of all, below zero."""
    seed_sd: float
    """Standard deviation of the estimated seed effects s_i, which includes sampling noise."""
    pair_sd: float
    """Standard deviation of the residuals e_ij."""
    p_seed: float
    """p-value of the seed with the most extreme mean, from permutations of values over pairs."""
    p_pair: float
    """p-value of the largest |e_ij| in units of `pair_sd`, for normal e_ij."""
    smallest_pair: float
    """Minimum detectable effect of a single pair: 80% power at p_pair ≤ 0.05."""


def pair_effects(
    values: Float[ndarray, "S S"], generator: Generator, draws: int = 1_999
) -> PairEffects:
    """Test one complete symmetric matrix of pairs for outlying seeds and pairs.

    Args:
        values: the diagonal is never read.
        generator: of the permutations and the normal residuals.
        draws: number of each.

    Raises:
        ValueError: for fewer than four seeds, with which effects of pairs and seeds are not
            identifiable, or for values that are not finite.
    """
    n_seeds = len(values)
    first, second = np.triu_indices(n_seeds, 1)
    x = np.asarray(values, dtype=float)[first, second]
    if n_seeds < 4 or not np.isfinite(x).all():
        raise ValueError(f"{n_seeds} seeds; need at least 4, and a finite value of every pair")
    design = np.zeros((len(x), n_seeds))
    design[np.arange(len(x)), first] = design[np.arange(len(x)), second] = 1.0
    of_seeds = design @ np.linalg.pinv(design)
    centered = x - x.mean()
    effects, residuals = np.linalg.pinv(design) @ centered, centered - of_seeds @ centered
    freedom = len(x) - n_seeds
    sd = float(np.sqrt((residuals**2).sum() / freedom))

    shuffled = generator.permuted(np.tile(centered, (draws, 1)), axis=1)
    null = generator.standard_normal((draws, len(x)))
    extreme = _largest(null - null @ of_seeds, freedom)
    observed = _largest(residuals[None], freedom)[0] if sd > 0 else 0.0
    return PairEffects(
        highest=float(centered.max()),
        lowest=float(centered.min()),
        seed_sd=float(effects.std(ddof=1)),
        pair_sd=sd,
        p_seed=_reaching(_farthest(centered[None], design)[0], _farthest(shuffled, design)),
        p_pair=_reaching(observed, extreme),
        smallest_pair=sd * _detectable(null, of_seeds, extreme, freedom),
    )


def _largest(residuals: ndarray, freedom: int) -> ndarray:
    """Largest |e| of each row, in units of the row's own standard deviation."""
    return np.abs(residuals).max(axis=1) / np.sqrt((residuals**2).sum(axis=1) / freedom)


def _farthest(centered: ndarray, design: ndarray) -> ndarray:
    """Largest distance of a seed's mean over its pairs from the mean over all."""
    return np.abs(centered @ design).max(axis=1) / (design.shape[1] - 1)


def _reaching(observed: float, drawn: ndarray) -> float:
    return float((1 + (drawn >= observed * (1 - 1e-12)).sum()) / (1 + len(drawn)))


def _detectable(null: ndarray, of_seeds: ndarray, extreme: ndarray, freedom: int) -> float:
    """Minimum detectable shift of one pair, in standard deviations."""
    critical = np.quantile(extreme, 1 - _LEVEL)
    for shift in _SHIFTS:
        moved = null.copy()
        moved[:, 0] += shift
        if (_largest(moved - moved @ of_seeds, freedom) > critical).mean() >= _POWER:
            return float(shift)
    return float("inf")
