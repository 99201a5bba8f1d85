"""Stratified estimates: one mean over several independent groups of seeds, such as subjects."""

from collections.abc import Sequence

import numpy as np

from seedstability.stability.statistics.jackknife import Interval, t_interval, welch
from seedstability.stability.statistics.power import minimum_detectable_effect


def stratified_mean(groups: Sequence[Interval], seeds: Sequence[int]) -> Interval:
    """Equally weighted mean of the groups' estimates, with its interval.

    Variances of independent estimates add; the degrees of freedom are Welch and Satterthwaite's.
    The groups are fixed: the interval describes other seeds of the same groups, not other groups.

    Args:
        groups: one estimate per group, with its standard error.
        seeds: number of seeds of each group.
    """
    mean = float(np.mean([group.mean for group in groups]))
    error, freedom = _error(groups, seeds)
    return t_interval(mean, error, freedom, f"{sum(seeds)} seeds")


def minimum_detectable_mean(groups: Sequence[Interval], seeds: Sequence[int]) -> float:
    """Minimum detectable effect on the stratified mean: two-sided t-test at 5%, power 80%."""
    error, freedom = _error(groups, seeds)
    as_seeds = max(2, round(freedom) + 1)
    return minimum_detectable_effect(error * as_seeds**0.5, as_seeds, paired=True)


def _error(groups: Sequence[Interval], seeds: Sequence[int]) -> tuple[float, float]:
    variances = np.array([group.standard_error for group in groups]) ** 2 / len(groups) ** 2
    return welch(variances, seeds)
