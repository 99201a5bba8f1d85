"""Values of a sweep of the section on tokens: points, curves, steps between neighboring points.

"Levels off" has one meaning, fixed before any result: from that point on, the 95% interval of the
paired step to the next point, in κ against the gauge level, reaches below 0.02. A wide interval
reaches below as well, so each step has its minimum detectable effect beside it.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from audit.experiments.common.summary import estimate, similarity
from audit.experiments.tokens.contrasts import (
    HEADLINE,
    STEP_STATISTICS,
    contrast,
    over_common_seeds,
    paired_difference,
)
from audit.experiments.tokens.pair_tables import (
    SCOPES,
    STATISTICS,
    THRESHOLDS,
    MeasuredArm,
    Scope,
    TokensArm,
    frequency_weights,
)
from audit.pipeline.results import Array, Scalar
from seedstability.similarity.names import LEVELS
from seedstability.stability.statistics.equivalence import EQUIVALENCE_MARGIN
from seedstability.stability.statistics.jackknife import jackknife, jackknife_kappa


def sweep_values(
    sweep: Mapping[str, TokensArm],
    base: TokensArm,
    compared: tuple[int, int],
    seeds: Collection[int],
) -> dict:
    """Values of one sweep.

    Args:
        sweep: arms by the value of the sweep's factor.
        base: the base configuration, whose firing rates are the reference.
        compared: the two values that the report compares.
        seeds: that are read of each arm, where it has them.
    """
    values = sorted(map(int, sweep))
    arms = [MeasuredArm(sweep[str(value)], seeds) for value in values]
    small, large = (arms[values.index(value)] for value in compared)
    return {
        "at": Array(np.array(values, float), 0),
        "points": {
            f"p{at}": sweep_point(arm) | {"at": value}
            for at, (value, arm) in enumerate(zip(values, arms, strict=True))
        },
        "curves": {
            scope: {name: _curve(arms, name, scope) for name in STATISTICS} for scope in SCOPES
        },
        "frequency_matched": _frequency_matched(arms, MeasuredArm(base, seeds)),
        "steps": {
            scope: {name: _steps(arms, values, name, scope) for name in STEP_STATISTICS}
            for scope in SCOPES
        },
        "explained_variance": _of_seeds(arms, "explained_variance"),
        "dead_fraction": _of_seeds(arms, "dead_fraction"),
        "cosine_with_start": Array(
            np.array([arm.partners["cosine_with_start"].mean() for arm in arms]),
            3,
            tolerance=0.03,
        ),
        "second_less_first": contrast(large, small),
        "last_less_first": {
            scope: {
                name: paired_difference(*over_common_seeds(arms[-1], arms[0]), name, scope)
                for name in STEP_STATISTICS
            }
            for scope in SCOPES
        },
    }


def sweep_point(arm: MeasuredArm) -> dict:
    """Values of one point of a sweep, as a table prints them."""
    node: dict = {
        scope: similarity(arm.table(HEADLINE, scope=scope), arm.levels(HEADLINE, scope))
        for scope in SCOPES
    }
    for name in THRESHOLDS:
        node[name] = estimate(arm.table(name), 1, "%")
    return node | quality(arm) | {"seeds": len(arm.seeds)}


def quality(arm: MeasuredArm) -> dict[str, Scalar]:
    """Reconstruction metrics of an arm on held-out text."""
    heldout = arm.evaluation["heldout"]
    own = arm.evaluation.get("own")
    return {
        **({"dead_on_own": estimate(own["dead_fraction"][arm.at], 1, "%")} if own else {}),
        "explained_variance": estimate(heldout["explained_variance"][arm.at], 3),
        "l0": estimate(heldout["l0"][arm.at], 1),
        "dead_fraction": estimate(heldout["dead_fraction"][arm.at], 1, "%"),
    }


def _curve(arms: list[MeasuredArm], name: str, scope: Scope) -> dict[str, Array]:
    """Arrays of a figure: value, interval, chance levels, κ with its interval."""
    values = [arm.table(name, scope=scope) for arm in arms]
    levels = [arm.levels(name, scope) for arm in arms]
    columns = {
        level: np.array([float(np.nanmean(each[level])) for each in levels]) for level in LEVELS
    }
    columns |= _ends([jackknife(each) for each in values])
    kappas = [
        jackknife_kappa(each, level["gauge"]) for each, level in zip(values, levels, strict=True)
    ]
    columns |= {f"kappa_{end}": column for end, column in _ends(kappas).items()}
    return _arrays(columns)


def _frequency_matched(arms: list[MeasuredArm], reference: MeasuredArm) -> dict[str, Array]:
    """κ of the matched mean at the reference's firing rates, for each arm and the reference."""
    ours, theirs, covered = [], [], []
    for arm in arms:
        weights, kept, share = frequency_weights(arm, reference)
        ours.append(_kappa(arm, "matched_mean", "live", weights))
        theirs.append(_kappa(reference, "matched_mean", "live", kept))
        covered.append(share)
    columns = {f"kappa_{end}": column for end, column in _ends(ours).items()}
    columns["reference"] = np.array([each.mean for each in theirs])
    return _arrays(columns) | {"covered": Array(np.array(covered), 2, tolerance=0.15)}


def _steps(arms: list[MeasuredArm], values: Sequence[int], name: str, scope: Scope) -> dict:
    """Gain in κ from each point to the next, and where the gains level off."""
    found = [
        paired_difference(*over_common_seeds(after, before), name, scope)
        for before, after in pairwise(arms)
    ]
    gains = [each["kappa"] for each in found]
    low = np.array([gain.low for gain in gains])
    ends = {"value": [gain.value for gain in gains], "low": low, "high": [g.high for g in gains]}
    smallest = [
        each["smallest_seen"].value if "smallest_seen" in each else np.nan for each in found
    ]
    rising = np.flatnonzero(low >= EQUIVALENCE_MARGIN)
    at = int(rising[-1]) + 1 if len(rising) else 0
    # If an interval just reaches the margin, another machine may decide the other way.
    neighbors = [
        abs(values[at] - values[other]) for other in (at - 1, at + 1) if 0 <= other < len(arms)
    ]
    return {
        **_arrays({key: np.array(column, float) for key, column in ends.items()}),
        "smallest_seen": Array(np.array(smallest), 4, tolerance=_widest(ends)),
        "levels_off": Scalar(float(values[at]), 0, tolerance=float(max(neighbors))),
        "last": gains[-1],
        "first": gains[0],
    }


def _kappa(arm: MeasuredArm, name: str, scope: Scope, weights=None):
    table = arm.table(name, scope=scope, weights=weights)
    return jackknife_kappa(table, arm.chance(name, "gauge", scope, weights))


def _of_seeds(
    arms: list[MeasuredArm], name: Literal["explained_variance", "dead_fraction"]
) -> Array:
    means = [arm.evaluation["heldout"][name][arm.at].mean() for arm in arms]
    return Array(np.array(means), 3, tolerance=0.05)


def _ends(intervals) -> dict[str, np.ndarray]:
    return {
        "value": np.array([each.mean for each in intervals]),
        "low": np.array([each.low for each in intervals]),
        "high": np.array([each.high for each in intervals]),
    }


def _arrays(columns: dict[str, np.ndarray]) -> dict[str, Array]:
    """Arrays with one tolerance: the widest interval among them."""
    tolerance = max(_widest(columns), _widest(columns, "kappa_"), 5e-3)
    return {name: Array(column, 4, tolerance=tolerance) for name, column in columns.items()}


def _widest(columns: Mapping, prefix: str = "") -> float:
    if f"{prefix}low" not in columns:
        return 0.0
    return float(np.max(np.asarray(columns[f"{prefix}high"]) - columns[f"{prefix}low"]))
