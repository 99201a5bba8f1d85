"""How far another processor may land from values of dictionaries that were trained for seconds."""

from collections.abc import Mapping
from dataclasses import replace

from audit.pipeline.results import Scalar

_FLOOR = 0.03
"""Of shares: a few latents of a hundred more or less."""
FINE = 0.01
"""Of means over hundreds of latents, whose seeds agree closely."""


def with_platform_tolerance(tree: Mapping, floor: float = _FLOOR) -> dict:
    """Each estimate with a tolerance as wide as its interval, or as a range is given, and a floor.

    Training is chaotic: another maker's processor draws new dictionaries in effect, and of a share
    near 0 or 1 the few seeds here may all agree.
    """
    return {
        name: with_platform_tolerance(leaf, floor)
        if isinstance(leaf, Mapping)
        else _with_tolerance(leaf, floor)
        for name, leaf in tree.items()
    }


def _with_tolerance(leaf, floor: float):
    if not isinstance(leaf, Scalar) or leaf.tolerance is not None or leaf.low is None:
        return leaf
    width = leaf.high - leaf.low if leaf.high is not None else 0.0
    scale = 100 if leaf.unit == "%" else 1
    return replace(leaf, tolerance=max(width, leaf.allowed_difference, scale * floor))
