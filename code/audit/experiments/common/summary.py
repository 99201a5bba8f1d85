"""Turn per-seed and per-pair numbers into printed values: intervals, chance levels, κ."""

from collections.abc import Iterable, Mapping

import numpy as np

from audit.evaluation.results import Evaluation
from audit.pipeline.results import Scalar
from seedstability.similarity.comparison import Chance, Scope, Similarities
from seedstability.similarity.estimates import (
    SimilarityEstimate,
    estimate_similarity,
    estimate_statistic,
)
from seedstability.similarity.names import SHARES, SIMILARITIES
from seedstability.stability.statistics.equivalence import equivalent
from seedstability.stability.statistics.jackknife import Interval, jackknife, jackknife_difference
from seedstability.stability.statistics.power import minimum_detectable_effect


def estimate(values: np.ndarray, digits: int = 3, unit: str = "", **more) -> Scalar:
    """Mean over seeds or over pairs of seeds, with its 95% jackknife interval or range."""
    return scalar(jackknife(values), digits, unit, **more)


def scalar(interval: Interval, digits: int = 3, unit: str = "", **more) -> Scalar:
    """Convert an interval to a printed scalar, with its 95% interval or range."""
    scale = 100.0 if unit == "%" else 1.0
    return Scalar(
        scale * interval.mean,
        digits,
        unit,
        scale * interval.low,
        scale * interval.high,
        interval.label,
        **more,
    )


def interval90(interval: Interval, digits: int = 4) -> Scalar:
    """Convert to a printed scalar with the 90% interval of an equivalence test.

    Below five seeds it has the range instead.
    """
    if np.isnan(interval.low90):
        return scalar(interval, digits)
    label = interval.label.replace("95%", "90%")
    return Scalar(interval.mean, digits, "", interval.low90, interval.high90, label)


def similarity(
    values: np.ndarray,
    chance: Mapping[str, Chance],
    share: bool = False,
) -> dict:
    """One similarity: its value, its chance levels, and κ against some of these.

    Args:
        values: [S, S] over pairs of seeds (NaN: not compared), or one value per pair.
        chance: levels by name, one number or drawn values of the shape of `values`.
        share: whether the statistic is a share of latents, printed in percent; κ never is.
    """
    return _printed(estimate_similarity(values, chance), share)


def similarities(
    comparison: Similarities,
    scope: Scope = "full",
    names: Iterable[str] = SIMILARITIES,
    some_seeds: bool = False,
) -> dict:
    """Similarities of a comparison by name; `some_seeds` as in `estimate_statistic`."""
    return {
        name: _printed(found, name in SHARES)
        for name in names
        if name in comparison[scope]
        and (found := estimate_statistic(comparison, name, scope, some_seeds))
    }


def _printed(found: SimilarityEstimate, share: bool) -> dict:
    scale, digits, unit, tolerance = (100.0, 2, "%", 0.2) if share else (1.0, 4, "", 2e-3)
    levels = {level: scale * each.mean for level, each in found.chance.items()}
    node: dict = {"value": scalar(found.value, digits, unit, chance=levels.get("isotropic"))}
    for level, each in found.chance.items():
        # A level drawn from the dictionaries themselves varies as they do.
        allowed = max(tolerance, scale * each.spread)
        node[level] = Scalar(levels[level], digits, unit, tolerance=allowed)
        if level in found.kappa:
            node[f"kappa_{level}"] = interval90(found.kappa[level])
    if found.p_gauge is not None:
        node["p_gauge"] = Scalar(found.p_gauge, 2, tolerance=0.05)
    return node


def difference(
    first: np.ndarray,
    second: np.ndarray,
    paired: bool,
    chance_first: Chance | None = None,
    chance_second: Chance | None = None,
) -> dict:
    """Difference of two arms with its minimum detectable effect; of κ where chance is given."""
    interval = jackknife_difference(first, second, paired, chance_first, chance_second)
    node: dict = {
        "value": scalar(interval, 4),
        "ninety": interval90(interval),
        "equivalent": "yes" if equivalent(interval.low90, interval.high90) else "no",
    }
    if not np.isnan(interval.standard_error):
        seeds = min(len(first), len(second))
        # The standard deviation at which a plain mean over seeds has this standard error.
        sd = interval.standard_error * (seeds if paired else seeds / 2) ** 0.5
        node["smallest_seen"] = Scalar(minimum_detectable_effect(sd, seeds, paired), 4)
    return node


def quality(evaluation: Evaluation) -> dict:
    """Reconstruction metrics of an arm, mean over seeds."""
    train, heldout = evaluation["train"], evaluation["heldout"]
    return {
        "explained_variance": estimate(heldout["explained_variance"], 3),
        "explained_variance_train": estimate(train["explained_variance"], 3),
        "explained_variance_reports": estimate(train["explained_variance_scalar_mean"], 3),
        "mse": estimate(train["mse"], 4),
        "l0": estimate(heldout["l0"], 1),
        "dead_fraction": estimate(heldout["dead_fraction"], 1, "%"),
    }
