"""Power of few seeds: the smallest difference that they could show."""

import numpy as np
from scipy import optimize, stats


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
