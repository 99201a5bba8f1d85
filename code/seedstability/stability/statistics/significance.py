"""Tests for few seeds: against chance, between two arms, and power."""

from itertools import combinations, product
from math import comb

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from numpy.random import Generator
from scipy import optimize, stats

# Values that differ only by the order of summation count as equal.
_ROUNDING = 1e-9


def p_value_against_chance(observed: float, draws: Float[ndarray, " draws"]) -> float:
    """One-sided p-value (1 + draws that reach `observed`) / (1 + draws), never 0.

    Raises:
        ValueError: for no draws, or values that are not finite.
    """
    draws = np.asarray(draws, dtype=float)
    if draws.size == 0:
        raise ValueError("no draws were given; a p-value needs at least one")
    _finite(draws, observed)
    return float((1 + (draws >= observed).sum()) / (1 + draws.size))


def permute_seeds(
    values: Float[ndarray, " S"] | Float[ndarray, "S S"],
    in_first: Bool[ndarray, " S"],
    generator: Generator,
    n_draws: int = 9_999,
) -> float:
    """Two-sided permutation p-value of the difference of two arms; whole seeds are permuted.

    Args:
        values: one value per seed of either arm, or similarities of all pairs of seeds of *both*
            arms (arms are compared by their inner pairs; the diagonal is never read).
        in_first: which seeds belong to the first arm.
        generator: for the draws; unused if all regroupings are enumerated.
        n_draws: number of regroupings to draw, or up to which all are enumerated.

    Raises:
        ValueError: for shapes that do not fit, an arm too small to have a mean, or values that
            are not finite.
    """
    values, in_first = np.asarray(values, dtype=float), np.asarray(in_first, dtype=bool)
    size, first = len(in_first), int(in_first.sum())
    if values.shape not in ((size,), (size, size)):
        raise ValueError(f"values have shape {values.shape}; need [{size}] or [{size}, {size}]")
    if min(first, size - first) < values.ndim:
        raise ValueError(f"arms of {first} and {size - first} seeds are too small to compare")
    _finite(values if values.ndim == 1 else values[~np.eye(size, dtype=bool)])
    observed = abs(_difference(values, in_first))
    if comb(size, first) <= n_draws:
        groups = [np.isin(np.arange(size), some) for some in combinations(range(size), first)]
        return _share_reaching(observed, [_difference(values, group) for group in groups])
    drawn = [_difference(values, generator.permutation(in_first)) for _ in range(n_draws)]
    return _share_reaching(observed, drawn, drawn_extra=1)


def flip_signs(
    differences: Float[ndarray, " S"], generator: Generator, n_draws: int = 9_999
) -> float:
    """Two-sided sign-flip p-value that paired differences are symmetric about 0.

    Args:
        differences: one per pair, independent of each other (for similarities of seeds: of
            `disjoint_pairs`). With five, p is at least 0.0625.
        generator: for the draws; unused if all signs are enumerated.
        n_draws: number of sign patterns to draw, or up to which all are enumerated.

    Raises:
        ValueError: for no differences, or differences that are not finite.
    """
    differences = np.asarray(differences, dtype=float)
    if differences.ndim != 1 or differences.size == 0:
        raise ValueError(f"differences have shape {differences.shape}; need one for each pair")
    _finite(differences)
    size, observed = differences.size, abs(differences.mean())
    if 2**size <= n_draws:
        signs = np.array(list(product((1.0, -1.0), repeat=size)))
        return _share_reaching(observed, signs @ differences / size)
    signs = generator.choice([1.0, -1.0], size=(n_draws, size))
    return _share_reaching(observed, signs @ differences / size, drawn_extra=1)


def disjoint_pairs(matrix: Float[ndarray, "S S"]) -> Float[ndarray, " half_S"]:
    """Values of the pairs (0, 1), (2, 3), …: no two share a seed, so they are independent."""
    first = np.arange(0, len(matrix) - 1, 2)
    return np.asarray(matrix)[first, first + 1]


def holm(p_values: Float[ndarray, " tests"]) -> Float[ndarray, " tests"]:
    """Holm-adjusted p-values (Holm 1979), in the order given.

    Rejecting those below α keeps the probability of any false rejection ≤ α.

    Raises:
        ValueError: for values outside [0, 1].
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values must be a list of numbers between 0 and 1")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def minimum_detectable_effect(
    sd: float, seeds: int, paired: bool, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Minimum detectable effect: true difference of two arms that a two-sided t-test detects.

    Args:
        sd: standard deviation of the paired differences, or of each arm's values if not paired.
        seeds: number of pairs, or of seeds in each arm.
        paired: the arms share seeds.
        power: probability of detecting it.
        alpha: level of the test.

    Raises:
        ValueError: for fewer than two seeds, a power that is not between alpha and 1, or sd < 0.
    """
    if seeds < 2 or not sd >= 0 or not 0 < alpha < power < 1:
        raise ValueError(
            f"sd {sd}, {seeds} seeds, alpha {alpha}, power {power}: "
            "need sd ≥ 0, at least 2 seeds, 0 < alpha < power < 1"
        )
    freedom = seeds - 1 if paired else 2 * (seeds - 1)
    error = np.sqrt((1 if paired else 2) / seeds)
    critical = stats.t.ppf(1 - alpha / 2, freedom)

    def missing(shift: float) -> float:
        # t² follows the noncentral F, which covers both tails and is stable for large shifts.
        return stats.ncf.sf(critical**2, 1, freedom, shift**2) - power

    # Upper bound: the normal approximation with a wide margin.
    shift = optimize.brentq(missing, 1e-3, 4.0 * (critical + stats.norm.ppf(power) + 1.0))
    return float(sd * error * shift)


def _finite(*values: ndarray | float) -> None:
    # Comparisons with NaN are false, so NaN would count as the most significant result.
    if not all(np.isfinite(value).all() for value in values):
        raise ValueError("some value is not finite; leave its seed out of all arms")


def _difference(values: ndarray, in_first: ndarray) -> float:
    return _arm_mean(values, in_first) - _arm_mean(values, ~in_first)


def _arm_mean(values: ndarray, arm: ndarray) -> float:
    if values.ndim == 1:
        return float(values[arm].mean())
    inner = values[np.ix_(arm, arm)]
    return float(inner[~np.eye(len(inner), dtype=bool)].mean())


def _share_reaching(observed: float, differences, drawn_extra: int = 0) -> float:
    sizes = np.abs(np.asarray(differences))
    reach = (sizes >= observed - _ROUNDING * max(observed, sizes.max())).sum()
    return float((reach + drawn_extra) / (len(sizes) + drawn_extra))
