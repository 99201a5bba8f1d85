"""Differences between arms of the section on tokens, and their platform tolerance."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from audit.experiments.common.summary import difference
from audit.experiments.tokens.experiment import THRESHOLDS
from audit.experiments.tokens.pair_tables import (
    FREQUENCY_MATCHED,
    SCOPES,
    STATISTICS,
    MeasuredArm,
    Scope,
    frequency_weights,
)
from audit.pipeline.results import RANGE, Scalar

HEADLINE = "matched_median"
"""The statistic of the third report."""
STEP_STATISTICS = ("matched_mean", HEADLINE)
"""Statistics of a sweep's steps. A mean varies less than a median that crosses a gap."""


def contrast(first: MeasuredArm, second: MeasuredArm) -> dict:
    """First arm minus second, paired by seed: raw, in κ, and frequency-matched."""
    first, second = over_common_seeds(first, second)
    tree: dict = {
        scope: {name: paired_difference(first, second, name, scope) for name in STATISTICS}
        for scope in SCOPES
    }
    tree["dead_fraction"] = _percent(_dead(first), _dead(second))
    if "own" in first.evaluation and "own" in second.evaluation:
        tree["dead_on_own"] = _percent(_dead(first, "own"), _dead(second, "own"))
    ours, theirs, covered = frequency_weights(first, second)
    tree["frequency_matched"] = {
        name: paired_difference(first, second, name, "live", ours, theirs)
        for name in FREQUENCY_MATCHED
    } | {"covered": Scalar(100 * covered, 0, "%", tolerance=15.0)}
    return tree


def deflation(arm: MeasuredArm) -> dict:
    """Live minus full of the same pairs: how much dead latents lower a similarity."""
    return {
        name: difference(arm.table(name, scope="live"), arm.table(name, scope="full"), True)[
            "value"
        ]
        for name in STEP_STATISTICS
    }


def with_interval_tolerance(tree: Mapping) -> dict:
    """Give each estimate a platform tolerance as wide as its interval.

    Training is chaotic: a processor of another vendor in effect draws new dictionaries. Two
    estimates of one value differ by √2 standard errors; an interval over five seeds is 5.6 wide.
    """
    return {
        name: with_interval_tolerance(leaf) if isinstance(leaf, Mapping) else _with_tolerance(leaf)
        for name, leaf in tree.items()
    }


def _with_tolerance(leaf):
    if not isinstance(leaf, Scalar) or leaf.tolerance is not None or leaf.low is None:
        return leaf
    if leaf.interval.startswith(RANGE) or leaf.high is None:
        return leaf
    return replace(leaf, tolerance=max(leaf.high - leaf.low, 1.5 * 10.0**-leaf.digits))


def over_common_seeds(first: MeasuredArm, second: MeasuredArm) -> tuple[MeasuredArm, MeasuredArm]:
    """Restrict both arms to the seeds that both have."""
    common = set(first.seeds) & set(second.seeds)
    return MeasuredArm(first.found, common), MeasuredArm(second.found, common)


def paired_difference(
    first: MeasuredArm, second: MeasuredArm, name: str, scope: Scope, ours=None, theirs=None
) -> dict:
    """First minus second, paired by seed, raw and in κ against the gauge level."""
    tables = (
        first.table(name, scope=scope, weights=ours),
        second.table(name, scope=scope, weights=theirs),
    )
    plain = difference(*tables, paired=True)
    levels = first.chance(name, "gauge", scope, ours), second.chance(name, "gauge", scope, theirs)
    corrected = difference(*tables, True, *levels)
    value = _in_percent(plain["value"]) if name in THRESHOLDS else plain["value"]
    node = {"value": value, "kappa": corrected["value"], "kappa_ninety": corrected["ninety"]}
    if "smallest_seen" in corrected:
        # It is a multiple of the interval's width, and as uncertain.
        width = corrected["value"].high - corrected["value"].low
        node["smallest_seen"] = replace(corrected["smallest_seen"], tolerance=max(width, 1.5e-4))
    return node


def _in_percent(scalar: Scalar) -> Scalar:
    ends = {end: 100 * getattr(scalar, end) for end in ("value", "low", "high")}
    return replace(scalar, digits=2, unit="%", **ends)


def _percent(first: np.ndarray, second: np.ndarray) -> Scalar:
    """Difference of two shares per seed, in percentage points."""
    return _in_percent(difference(first, second, paired=True)["value"])


def _dead(arm: MeasuredArm, samples: Literal["heldout", "own"] = "heldout") -> np.ndarray:
    return arm.evaluation[samples]["dead_fraction"][arm.at]
