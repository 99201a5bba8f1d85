"""Caliper matching: pair members of two groups by one covariate."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import linear_sum_assignment


def nearest_pairs(
    first: Float[ndarray, " n"], second: Float[ndarray, " m"], caliper: float
) -> tuple[Int[ndarray, " pairs"], Int[ndarray, " pairs"]]:
    """Optimal caliper matching: as many disjoint pairs as possible, with the least total distance.

    The assignment is exact: greedy nearest-neighbor matching would leave fewer pairs (Rosenbaum
    1989, "Optimal matching for observational studies").

    Args:
        first, second: the covariate of each member, such as the logarithm of its firing rate.
        caliper: largest difference within a pair, not negative.

    Returns:
        Indices into `first`, ascending, and the partners' indices into `second`.
    """
    if not len(first) or not len(second):
        return np.empty(0, int), np.empty(0, int)
    distance = np.abs(np.asarray(first, float)[:, None] - np.asarray(second, float)[None])
    # One pair beyond the caliper costs more than all pairs within it together.
    forbidden = caliper * (1 + min(distance.shape)) + 1.0
    rows, columns = linear_sum_assignment(np.where(distance <= caliper, distance, forbidden))
    kept = distance[rows, columns] <= caliper
    return rows[kept], columns[kept]
