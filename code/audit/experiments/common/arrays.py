"""Plotted arrays from printed values."""

from collections.abc import Sequence

import numpy as np

from audit.pipeline.results import Array, Scalar


def with_ends(
    scalars: Sequence[Scalar], digits: int, tolerance: float, loose_ends: bool = False
) -> dict[str, Array]:
    """Arrays `value`, `low` and `high`; a value without interval is its own ends.

    Args:
        scalars: one for each point.
        digits: decimals of all three.
        tolerance: of all three.
        loose_ends: whether ends may differ by as much as the widest interval is wide, as they do
            over few seeds.
    """
    value = np.array([each.value for each in scalars])
    low = np.array([each.value if each.low is None else each.low for each in scalars])
    high = np.array([each.value if each.high is None else each.high for each in scalars])
    ends = max(tolerance, float((high - low).max())) if loose_ends else tolerance
    return {
        "value": Array(value, digits, tolerance),
        "low": Array(low, digits, ends),
        "high": Array(high, digits, ends),
    }
