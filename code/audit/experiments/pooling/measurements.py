"""Values of section "Pooling", one function per part."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from audit.experiments.common.summary import difference, estimate, quality, similarities
from audit.experiments.tokens.contrasts import with_interval_tolerance
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.jackknife import jackknife, jackknife_kappa

NAMES = ("max_cosine", "matched_mean", "shared")
POOLED = "votes"
ARMS = ("single", "long", "drawn", "average", "untrained_on", "votes")
BASELINES = ("single", "long", "average", "drawn")
_KAPPA_STATISTIC = "matched_mean"
"""The similarity on which arms are compared. Its matching is one to one, so that duplicate latents
of a dictionary do not count twice."""


def settings(config) -> dict:
    """Settings that the text mentions."""
    base = config.base
    pools = len(config.seeds) // config.group_size
    return {
        "seeds": len(config.seeds),
        "group_size": config.group_size,
        "pools": pools,
        "epochs": config.epochs,
        "long_epochs": config.group_size * base.epochs + config.epochs,
        "cosine": Scalar(config.cosine, 1, tolerance=0.0),
        "latents": base.n_latents,
        "contexts": config.contexts,
        "planted_latents": config.planted_latents,
    }


def language(config, pool: Mapping, **inputs: Mapping) -> dict:
    """Arms on the language model: similarity, reconstruction, loss recovered, differences."""
    tree = _arms(inputs) | _differences(inputs) | {"pools": _pools(pool, config.group_size)}
    for name in _names(inputs):
        found = inputs[f"{name}__recovery"]
        tree[name] |= {
            "loss": estimate(found["loss"], 3),
            "recovered_zero": estimate(found["recovered_zero"], 2, "%"),
            "recovered_mean": estimate(found["recovered_mean"], 2, "%"),
        }
    for other in BASELINES:
        ours, theirs = (inputs[f"{name}__recovery"] for name in (POOLED, other))
        node = difference(ours["recovered_mean"], theirs["recovered_mean"], False)
        tree[f"pooled_less_{other}"] |= _prefixed("recovered_mean", node)
    found = inputs["single__recovery"]
    levels = {name: Scalar(float(found[name]), 3) for name in ("clean", "zero", "mean")}
    return with_interval_tolerance(tree) | {"levels": levels, "figure": _figure(inputs)}


def planted(config, pool: Mapping, truth: Mapping, **inputs: Mapping) -> dict:
    """Arms on planted truth, scored against the truth as well."""
    tree = _arms(inputs) | _differences(inputs) | {"pools": _pools(pool, config.group_size)}
    singles = _single_directions(truth)
    found = {
        name: _recovered(inputs[f"{name}__dictionaries"]["decoder"], singles)
        for name in _names(inputs)
    }
    for name, values in found.items():
        tree[name]["truth"] = estimate(values, 3)
    for other in BASELINES:
        tree[f"pooled_less_{other}"] |= _prefixed(
            "truth", difference(found[POOLED], found[other], False)
        )
    return with_interval_tolerance(tree) | {"figure": _figure(inputs)}


def _names(inputs: Mapping) -> list[str]:
    return [name.removesuffix("__comparison") for name in inputs if name.endswith("__comparison")]


def _arms(inputs: Mapping) -> dict:
    return {
        name: similarities(inputs[f"{name}__comparison"], names=NAMES)
        | {"quality": quality(inputs[f"{name}__evaluation"])}
        for name in _names(inputs)
    }


def _figure(inputs: Mapping) -> dict:
    """κ and explained variance, one point per arm."""
    kappas, explained = [], []
    for name in ARMS:
        compared = inputs[f"{name}__comparison"]
        kappas.append(
            jackknife_kappa(compared["full"][_KAPPA_STATISTIC], compared["gauge"][_KAPPA_STATISTIC])
        )
        heldout = inputs[f"{name}__evaluation"]["heldout"]
        explained.append(jackknife(heldout["explained_variance"]))
    columns = {
        "kappa": [each.mean for each in kappas],
        "low": [each.low for each in kappas],
        "high": [each.high for each in kappas],
        "explained_variance": [each.mean for each in explained],
    }
    return {name: Array(np.array(column), 4, tolerance=0.05) for name, column in columns.items()}


def _differences(inputs: Mapping) -> dict:
    """Pooled dictionaries minus each baseline, in κ against gauge and in explained variance."""
    tree = {}
    for other in BASELINES:
        ours, theirs = (inputs[f"{name}__comparison"] for name in (POOLED, other))
        kappa = difference(
            ours["full"][_KAPPA_STATISTIC],
            theirs["full"][_KAPPA_STATISTIC],
            False,
            ours["gauge"][_KAPPA_STATISTIC],
            theirs["gauge"][_KAPPA_STATISTIC],
        )
        ours, theirs = (inputs[f"{name}__evaluation"]["heldout"] for name in (POOLED, other))
        variance = difference(ours["explained_variance"], theirs["explained_variance"], False)
        tree[f"pooled_less_{other}"] = _prefixed("kappa", kappa) | _prefixed(
            "explained_variance", variance
        )
    return tree


def _prefixed(name: str, node: dict) -> dict:
    """A difference with its interval and minimum detectable effect, under a common prefix."""
    found = {name: node["value"], f"{name}_ninety": node["ninety"]}
    if "smallest_seen" in node:
        smallest = node["smallest_seen"]
        # A standard error over five pools is uncertain by a third or so, and differs between
        # machines; another instruction set has given 2.2 times as much.
        loose = replace(smallest, tolerance=2 * smallest.value + 1e-3)
        found[f"{name}_smallest_seen"] = loose
    return found


def _pools(pool: Mapping, group_size: int) -> dict:
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


def _single_directions(truth: Mapping) -> np.ndarray:
    """The planted features of a single direction each."""
    return truth["directions"][truth["rank"][truth["unit"]] == 1]


def _recovered(decoders: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Best cosine of a latent with each direction, averaged, for each dictionary."""
    unit = decoders / np.linalg.norm(decoders, axis=2, keepdims=True)
    return np.array([(directions @ rows.T).max(axis=1).mean() for rows in unit], float)
