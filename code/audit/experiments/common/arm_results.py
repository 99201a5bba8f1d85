"""What the stages of an arm found, and the part of it that some seeds found."""

from collections.abc import Collection, Mapping
from typing import Any, TypedDict, cast

import numpy as np

from audit.analyses.similarity import SeedComparison
from audit.evaluation.results import Evaluation
from audit.training.results import positions_of

_OVER_PAIRS = {"full", "live", "span", "untrained", "gauge", "gauge_live", "isotropic_live"}
_OVER_SEEDS = {"cosine_with_start", "reproducibility", "seeds"}


class ArmResults(TypedDict):
    """Results of an arm's stages, as a measuring stage receives them."""

    evaluation: Evaluation
    comparison: SeedComparison


def of_seeds(arm: ArmResults, seeds: Collection[int]) -> ArmResults:
    """Restrict an arm to some seeds; levels with one number for all pairs stay as they are.

    Raises:
        ValueError: a seed is not among the arm's.
    """
    at = positions_of(seeds, arm["comparison"]["seeds"])
    tables: Mapping[str, Any] = arm["comparison"]
    over_pairs = {
        name: _taken(tables[name], np.ix_(at, at)) for name in _OVER_PAIRS & tables.keys()
    }
    over_seeds = {name: tables[name][at] for name in _OVER_SEEDS & tables.keys()}
    return {
        "evaluation": cast(Evaluation, _taken(arm["evaluation"], at)),
        "comparison": cast(SeedComparison, {**tables, **over_pairs, **over_seeds}),
    }


def _taken(tree: Mapping[str, Any], at: Any) -> dict[str, Any]:
    return {
        name: _taken(leaf, at) if isinstance(leaf, Mapping) else leaf[at]
        for name, leaf in tree.items()
    }
