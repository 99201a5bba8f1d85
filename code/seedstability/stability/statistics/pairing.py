"""Pairs of members of two groups that are alike in one number, so that the rest can be compared."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import linear_sum_assignment


def nearest_pairs(
    first: Float[ndarray, "n"], second: Float[ndarray, "m"], caliper: float
) -> tuple[Int[ndarray, "pairs"], Int[ndarray, "pairs"]]:
    """As many pairs within the caliper as there can be, and of these the nearest in sum.

    Nobody is in two pairs. The assignment is exact: taking the nearest partner one after the other
    would leave fewer pairs (Rosenbaum 1989, "Optimal matching for observational studies").

    Args:
        first, second: the number of each member, such as the logarithm of its firing rate.
        caliper: largest difference within a pair, not negative.

    Returns:
        Places in `first`, ascending, and beside each the place of its partner in `second`.
    """
    if not len(first) or not len(second):
        return np.empty(0, int), np.empty(0, int)
    distance = np.abs(np.asarray(first, float)[:, None] - np.asarray(second, float)[None])
    # One pair too far apart costs more than all near ones together, so it is a last resort.
    forbidden = caliper * (1 + min(distance.shape)) + 1.0
    rows, columns = linear_sum_assignment(np.where(distance <= caliper, distance, forbidden))
    kept = distance[rows, columns] <= caliper
    return rows[kept], columns[kept]
