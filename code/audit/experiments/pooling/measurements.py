"""Values of section "Pooling", one function per part."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from audit.evaluation.recovery import LossRecovered
from audit.experiments.common.arm_results import ArmResults
from audit.experiments.common.arrays import with_ends
from audit.experiments.common.summary import difference, estimate, quality, scalar, similarities
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.pooling.experiment import PoolingSettings
from audit.pipeline.results import Array, Scalar
from audit.subjects.synthetic.planted import PlantedSamples
from audit.training.pooling import PooledDictionaries
from audit.training.results import Dictionaries
from seedstability.stability.statistics.jackknife import jackknife_kappa

NAMES = ("max_cosine", "matched_mean", "shared")
POOLED = "votes"
ARMS = ("single", "long", "drawn", "average", "untrained_on", "votes")
BASELINES = ("single", "long", "average", "drawn")
Arms = Mapping[str, ArmResults]
OfEach = Mapping[str, Float[ndarray, " S"]]
"""A score of each dictionary, by arm."""
_KAPPA_STATISTIC = "matched_mean"
"""The similarity on which arms are compared. Its matching is one to one, so that duplicate latents
of a dictionary do not count twice."""


def language(
    config: PoolingSettings,
    pool: PooledDictionaries,
    arms: Arms,
    losses: Mapping[str, LossRecovered],
) -> dict:
    """Arms on the language model: similarity, reconstruction, loss recovered, differences."""
    recovered = {name: found["recovered_mean"] for name, found in losses.items()}
    tree = _arms(config, pool, arms, "recovered_mean", recovered)
    for name, found in losses.items():
        tree[name] |= {
            "loss": estimate(found["loss"], 3),
            "recovered_zero": estimate(found["recovered_zero"], 2, "%"),
            "recovered_mean": estimate(found["recovered_mean"], 2, "%"),
        }
    single = losses["single"]
    levels = {
        "clean": Scalar(single["clean"], 3),
        "zero": Scalar(single["zero"], 3),
        "mean": Scalar(single["mean"], 3),
    }
    return with_platform_tolerance(tree, floor=0.0) | {"levels": levels, "figure": _figure(arms)}


def planted(
    config: PoolingSettings,
    pool: PooledDictionaries,
    truth: PlantedSamples,
    arms: Arms,
    dictionaries: Mapping[str, Dictionaries],
) -> dict:
    """Arms on planted truth, scored against the truth as well."""
    singles = truth["directions"][truth["rank"][truth["unit"]] == 1]
    recovered = {name: _recovered(each["decoder"], singles) for name, each in dictionaries.items()}
    tree = _arms(config, pool, arms, "truth", recovered)
    for name, values in recovered.items():
        tree[name]["truth"] = estimate(values, 3)
    return with_platform_tolerance(tree, floor=0.0) | {"figure": _figure(arms)}


def _arms(
    config: PoolingSettings, pool: PooledDictionaries, arms: Arms, score: str, scores: OfEach
) -> dict:
    """Each arm, pooled dictionaries minus each baseline, and how often pooled latents recur."""
    tree: dict = {
        name: similarities(arm["comparison"], names=NAMES) | {"quality": quality(arm["evaluation"])}
        for name, arm in arms.items()
    }
    explained = {name: _explained(arm) for name, arm in arms.items()}
    for other in BASELINES:
        tree[f"pooled_less_{other}"] = {
            **_prefixed("kappa", _kappa_difference(arms[POOLED], arms[other])),
            **_prefixed("explained_variance", _difference(explained, other)),
            **_prefixed(score, _difference(scores, other)),
        }
    return tree | {"pools": _pools(pool, config.group_size)}


def _difference(values: OfEach, other: str) -> dict:
    return difference(values[POOLED], values[other], False)


def _kappa_difference(ours: ArmResults, theirs: ArmResults) -> dict:
    """Difference in κ against gauge."""
    (values, chance), (other_values, other_chance) = map(_tables, (ours, theirs))
    return difference(values, other_values, False, chance, other_chance)


def _explained(arm: ArmResults) -> Float[ndarray, " S"]:
    return arm["evaluation"]["heldout"]["explained_variance"]


def _tables(arm: ArmResults) -> tuple[Float[ndarray, "S S"], Float[ndarray, "S S"]]:
    """Similarities between seeds, and those after gauge scrambles."""
    comparison = arm["comparison"]
    return comparison["full"][_KAPPA_STATISTIC], comparison["gauge"][_KAPPA_STATISTIC]


def _prefixed(name: str, node: Mapping[str, Scalar]) -> dict:
    """A difference with its interval and minimum detectable effect, under a common prefix."""
    found = {name: node["value"], f"{name}_ninety": node["ninety"]}
    if "smallest_seen" in node:
        smallest = node["smallest_seen"]
        # A standard error over five pools is uncertain by a third or so, and differs between
        # machines; another instruction set has given 2.2 times as much.
        loose = replace(smallest, tolerance=2 * smallest.value + 1e-3)
        found[f"{name}_smallest_seen"] = loose
    return found


def _pools(pool: PooledDictionaries, group_size: int) -> dict:
    """In how many seeds of a group each pooled latent recurs, and how many clusters were kept."""
    recurrence = pool["votes"]
    shares = np.stack([(recurrence == count).mean(axis=1) for count in range(1, group_size + 1)])
    return {
        "clusters": estimate(pool["clusters"].astype(float), 0),
        "pooled": estimate(pool["pooled"].astype(float), 0),
        "mean_votes": estimate(recurrence.mean(axis=1), 2),
        "unanimous": estimate(shares[-1], 1, "%"),
        "alone": estimate(shares[0], 1, "%"),
        "shares": Array(100 * shares.mean(axis=1), 1, tolerance=2.0),
    }


def _recovered(
    decoders: Float[ndarray, "S n d"], directions: Float[ndarray, "m d"]
) -> Float[ndarray, " S"]:
    """Best cosine of a latent with each direction, averaged, for each dictionary."""
    unit = decoders / np.linalg.norm(decoders, axis=2, keepdims=True)
    return np.array([(directions @ rows.T).max(axis=1).mean() for rows in unit], float)


def _figure(arms: Arms) -> dict:
    """κ and explained variance, one point per arm."""
    kappas = [scalar(jackknife_kappa(*_tables(arms[name]))) for name in ARMS]
    ends = with_ends(kappas, 4, 0.05)
    explained = np.array([_explained(arms[name]).mean() for name in ARMS])
    return {
        "kappa": ends["value"],
        "low": ends["low"],
        "high": ends["high"],
        "explained_variance": Array(explained, 4, tolerance=0.05),
    }
