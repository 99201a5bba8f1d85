"""Stratified estimates: one mean over several independent groups of seeds, such as subjects."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from seedstability.stability.statistics.jackknife import Interval
from seedstability.stability.statistics.significance import minimum_detectable_effect


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
    reach95, reach90 = (float(reach) * error for reach in stats.t.ppf([0.975, 0.95], freedom))
    return Interval(
        mean=mean,
        low=mean - reach95,
        high=mean + reach95,
        label=f"95% jackknife over {sum(seeds)} seeds",
        low90=mean - reach90,
        high90=mean + reach90,
        standard_error=error,
    )


def minimum_detectable_mean(groups: Sequence[Interval], seeds: Sequence[int]) -> float:
    """Minimum detectable effect on the stratified mean: two-sided t-test at 5%, power 80%."""
    error, freedom = _error(groups, seeds)
    as_seeds = max(2, round(freedom) + 1)
    return minimum_detectable_effect(error * as_seeds**0.5, as_seeds, paired=True)


def _error(groups: Sequence[Interval], seeds: Sequence[int]) -> tuple[float, float]:
    variances = np.array([group.standard_error for group in groups]) ** 2 / len(groups) ** 2
    total = variances.sum()
    # Without any spread the degrees of freedom do not matter.
    freedom = total**2 / (variances**2 / (np.array(seeds) - 1)).sum() if total > 0 else 1.0
    return float(np.sqrt(total)), float(freedom)
