"""Intervals over seeds: the delete-one-seed jackknife.

Values that share a seed are not independent. The jackknife therefore leaves out whole seeds: a
seed's row and column of a matrix of pairs. A bootstrap over seeds would draw a seed twice and
compare it with itself; with few seeds its coverage is far below nominal (definitions.md §3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from seedstability.stability.chance.closed_form import NEARLY_ONE

# With fewer, a t interval is uninformative; the range is given instead.
MIN_SEEDS = 5


@dataclass(frozen=True)
class Interval:
    """An estimate over seeds."""

    mean: float
    """The estimate from all seeds."""
    low: float
    """Lower end of the 95% interval, or of the range below five seeds."""
    high: float
    """Upper end of the same."""
    label: str
    """Description of low and high, as printed."""
    low90: float
    """Lower end of the 90% interval, for equivalence; NaN below five seeds."""
    high90: float
    """Upper end of the same."""
    standard_error: float
    """Standard error of the estimate; NaN below five seeds."""


def jackknife(values: Float[ndarray, " S"] | Float[ndarray, "S S"]) -> Interval:
    """Mean over seeds, or over pairs of different seeds, with its interval.

    Args:
        values: one value per seed, or a symmetric matrix of pairs, whose diagonal is never read
            and in which NaN marks a pair that was not compared.

    The interval is the estimate ± t(S − 1) standard errors. Its coverage is about 95% for S ≥ 5 if
    seeds have effects, and conservative (about √2 too wide) if pairs are independent.

    Raises:
        ValueError: for other shapes, values that are not finite, or pairs that all contain the same
            seed.
    """
    values = _checked(values)
    return jackknife_statistic(lambda seeds: _mean(values, seeds), len(values), values.ndim)


def jackknife_kappa(
    values: Float[ndarray, " S"] | Float[ndarray, "S S"],
    chance: float | Float[ndarray, " S"] | Float[ndarray, "S S"],
) -> Interval:
    """Chance-corrected mean (x − c) / (1 − c) of means x and c, with its interval.

    Args:
        values: as for `jackknife`.
        chance: one number if it is known, or sampled values of the same shape as `values`, whose
            variance then enters the interval. If its mean is 0.9 or more, x − c.

    Raises:
        ValueError: for other shapes, or values that are not finite.
    """
    values = _checked(values)
    return jackknife_statistic(_kappa(values, chance), len(values), values.ndim)


def jackknife_difference(
    first: ndarray,
    second: ndarray,
    paired: bool,
    chance_first: float | ndarray | None = None,
    chance_second: float | ndarray | None = None,
) -> Interval:
    """Mean of `first` minus mean of `second`, or of their κ where chance levels are given.

    Args:
        first, second: as for `jackknife`, one arm each.
        paired: seed s of both arms is the same seed (data order, initialization) and is left out
            of both at once. Otherwise variances add, with Welch's degrees of freedom.
        chance_first, chance_second: as for `jackknife_kappa`; both or neither.

    Raises:
        ValueError: for other shapes, or paired arms of different sizes.
    """
    first, second = _checked(first), _checked(second)
    if (chance_first is None) != (chance_second is None):
        raise ValueError("chance was given for one arm only; give it for both or for neither")
    one = _statistic(first, chance_first)
    other = _statistic(second, chance_second)
    if not paired:
        return _unpaired((one, len(first), first.ndim), (other, len(second), second.ndim))
    if first.shape != second.shape:
        raise ValueError(f"paired arms have shapes {first.shape} and {second.shape}; not the same")
    return jackknife_statistic(lambda s: one(s) - other(s), len(first), first.ndim)


def jackknife_statistic(
    statistic: Callable[[ndarray], float], n_seeds: int, group: int = 1
) -> Interval:
    """Interval of any statistic of the seeds.

    Args:
        statistic: takes an array of seed indices. It must be smooth in the seeds, such as a ratio
            of means; a quantile of few values is not.
        n_seeds: number of seeds; their indices are 0 … `n_seeds` − 1.
        group: minimum number of seeds that it needs, 2 for pairs. Below five seeds the range is
            over all groups of this size.
    """
    if n_seeds < group:
        raise ValueError(f"{n_seeds} seeds given; this needs at least {group}")
    seeds = np.arange(n_seeds)
    mean = statistic(seeds)
    if n_seeds < MIN_SEEDS:
        return _range(mean, *_extremes(statistic, n_seeds, group), f"{n_seeds} seeds")
    left_out = np.array([statistic(np.delete(seeds, s)) for s in seeds])
    if np.isnan(left_out).any():
        raise ValueError(f"without seed {np.isnan(left_out).argmax()} no pair is left; add pairs")
    error = np.sqrt((n_seeds - 1) * np.mean((left_out - left_out.mean()) ** 2))
    return t_interval(mean, error, n_seeds - 1, f"{n_seeds} seeds")


def welch(variances: Float[ndarray, " groups"], seeds: Sequence[int]) -> tuple[float, float]:
    """Standard error of a sum of independent estimates, with Welch's degrees of freedom.

    Args:
        variances: squared standard error of each term.
        seeds: number of seeds behind it.
    """
    total = variances.sum()
    # Without any spread the degrees of freedom do not matter.
    freedom = total**2 / (variances**2 / (np.array(seeds) - 1)).sum() if total > 0 else 1.0
    return float(np.sqrt(total)), float(freedom)


def t_interval(mean: float, error: float, freedom: float, seeds: str) -> Interval:
    """Interval of an estimate ± t standard errors; `seeds` names them in its label."""
    reach95, reach90 = (stats.t.ppf([0.975, 0.95], freedom) * error).tolist()
    return Interval(
        mean=mean,
        low=mean - reach95,
        high=mean + reach95,
        label=f"95% jackknife over {seeds}",
        low90=mean - reach90,
        high90=mean + reach90,
        standard_error=float(error),
    )


def _range(mean: float, low: float, high: float, seeds: str) -> Interval:
    # A statistic that is no mean may lie outside those of fewer seeds; the range holds it too.
    nan = float("nan")
    return Interval(mean, min(low, mean), max(high, mean), f"range of {seeds}", nan, nan, nan)


def _extremes(
    statistic: Callable[[ndarray], float], n_seeds: int, group: int
) -> tuple[float, float]:
    each = [statistic(np.array(some)) for some in combinations(range(n_seeds), group)]
    return float(np.nanmin(each)), float(np.nanmax(each))  # NaN: a pair not compared


def _unpaired(first: tuple, second: tuple) -> Interval:
    """Difference of two independent arms, each (statistic, n_seeds, group)."""
    counts = (first[1], second[1])
    seeds = f"{counts[0]} and {counts[1]} seeds"
    if min(counts) < MIN_SEEDS:
        mean = first[0](np.arange(counts[0])) - second[0](np.arange(counts[1]))
        (low, high), (other_low, other_high) = _extremes(*first), _extremes(*second)
        return _range(mean, low - other_high, high - other_low, seeds)
    one, other = jackknife_statistic(*first), jackknife_statistic(*second)
    squares = np.array([one.standard_error, other.standard_error]) ** 2
    return t_interval(one.mean - other.mean, *welch(squares, counts), seeds)


def _statistic(values: ndarray, chance: float | ndarray | None) -> Callable[[ndarray], float]:
    return (lambda seeds: _mean(values, seeds)) if chance is None else _kappa(values, chance)


def _kappa(values: ndarray, chance: float | ndarray) -> Callable[[ndarray], float]:
    if not isinstance(chance, float | int):
        chance = _checked(chance)
        if chance.shape != values.shape:
            raise ValueError(f"chance has shape {chance.shape}; values have {values.shape}")
        # A pair whose level was not drawn has that of the others. Left out, it would count in x
        # alone, and the range of a few seeds would not hold their estimate.
        undrawn = np.isnan(chance) & ~np.isnan(values)
        chance = np.where(undrawn, np.nanmean(chance), chance)

    def level(seeds: ndarray) -> float:
        return _mean(chance, seeds) if isinstance(chance, ndarray) else float(chance)

    # Decided once for all seeds: a formula that changed when a seed is left out would make the
    # jackknife variance meaningless.
    ratio = level(np.arange(len(values))) < NEARLY_ONE

    def kappa(seeds: ndarray) -> float:
        x, c = _mean(values, seeds), level(seeds)
        return (x - c) / (1.0 - c) if ratio else x - c

    return kappa


def _mean(values: ndarray, seeds: ndarray) -> float:
    if values.ndim == 1:
        return float(values[seeds].mean())
    pairs = values[np.ix_(seeds, seeds)][~np.eye(len(seeds), dtype=bool)]
    pairs = pairs[~np.isnan(pairs)]
    return float(pairs.mean()) if pairs.size else float("nan")


def _checked(values: ndarray) -> ndarray:
    values = np.asarray(values, dtype=float)
    square = values.ndim == 2 and values.shape[0] == values.shape[1]
    if len(values) == 0 or not (values.ndim == 1 or square):
        raise ValueError(f"values have shape {values.shape}; need [seeds] or [seeds, seeds]")
    if not square:
        if not np.isfinite(values).all():
            raise ValueError("some value is not finite; leave its seed out of all arms")
        return values
    others = ~np.eye(len(values), dtype=bool)
    if np.isinf(values[others]).any():
        raise ValueError("some value is not finite; leave its seed out of all arms")
    compared = others & ~np.isnan(values)
    if len(values) > 1 and not compared.any(axis=1).all():
        raise ValueError("some seed is in no pair; leave it out of all arms")
    return values
