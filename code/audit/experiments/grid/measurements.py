"""Values of the grid, at each of its points."""

from collections.abc import Mapping

from audit.experiments.common.arm_results import ArmResults
from audit.experiments.common.summary import quality, similarities
from audit.experiments.grid.experiment import GridConfig

_NAMED = ("max_cosine", "matched_mean", "matched_median")


def points(config: GridConfig, arms: Mapping[str, ArmResults]) -> dict:
    """Similarities with chance levels, and reconstruction metrics."""
    return {
        name: similarities(arm["comparison"], names=_NAMED) | quality(arm["evaluation"])
        for name, arm in arms.items()
    }
