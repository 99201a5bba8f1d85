"""Equivalence: an effect too small to matter, which is more than one that was not seen."""

EQUIVALENCE_MARGIN = 0.02
"""Largest κ, or difference of κ, that does not matter (definitions.md §3)."""


def equivalent(low: float, high: float, margin: float = EQUIVALENCE_MARGIN) -> bool:
    """Whether an interval lies within ± `margin`; of a 90% interval, that is the TOST at 5%.

    NaN ends (too few seeds for an interval) are never equivalent.

    Raises:
        ValueError: for a margin that is not positive.
    """
    if not margin > 0:
        raise ValueError(f"the margin is {margin}; it must be positive")
    return bool(-margin <= low and high <= margin)
