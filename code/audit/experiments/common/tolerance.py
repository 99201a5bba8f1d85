"""Platform tolerance: how far values may differ when another processor trains."""

from collections.abc import Mapping
from dataclasses import replace

from audit.pipeline.results import Scalar

_FLOOR = 0.03
"""Floor for shares: a few latents in a hundred."""
FINE = 0.01
"""Floor for means over hundreds of latents, on which seeds agree closely."""


def with_platform_tolerance(tree: Mapping, floor: float = _FLOOR) -> dict:
    """Give each estimate a tolerance as wide as its interval, and at least `floor`.

    Training is chaotic: a processor of another vendor in effect draws new dictionaries. Of a share
    near 0 or 1 all seeds may agree, so that the interval alone would be too narrow.
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
