"""Values of section "Unstable latents" on contributions of latents, and on their responses."""

from collections.abc import Mapping

import numpy as np

from audit.evaluation.groups.contribution import CONTROLLED, WHOLE
from audit.evaluation.groups.responses import MEASURES
from audit.evaluation.groups.results import Contributions, Responses
from audit.experiments.common.summary import difference, estimate
from audit.experiments.common.tolerance import FINE, with_platform_tolerance
from audit.experiments.subspaces.experiment import SubspacesMeasurementConfig
from audit.pipeline.results import Scalar

SIGN = {"explained_variance": -1.0, "loss": 1.0, "accuracy": -1.0}
"""Signs that make every contribution positive: metrics fall without it, and the loss rises."""
DIGITS = {"explained_variance": 4, "loss": 4, "accuracy": 4}


def worth(config: SubspacesMeasurementConfig, arms: Mapping[str, Contributions]) -> dict:
    """Contribution of each group of latents: what is lost without it."""
    tree: dict = {name: _contribution(each) for name, each in arms.items()}
    return with_platform_tolerance(tree, FINE)


def responses(config: SubspacesMeasurementConfig, arms: Mapping[str, Responses]) -> dict:
    """Response measures of unstable latents minus those of stable ones."""
    return with_platform_tolerance({name: _responses(each) for name, each in arms.items()}, FINE)


def _contribution(found: Mapping) -> dict:
    whole = found["nothing"]
    kinds = [kind for kind in SIGN if kind in whole]

    def lost(removal: str, kind: str) -> np.ndarray:
        return SIGN[kind] * (found[removal][kind] - whole[kind])

    removals = [*WHOLE, *(f"{way}_{group}" for way in CONTROLLED for group in _GROUPS)]
    tree: dict = {
        removal: {
            **{kind: estimate(lost(removal, kind), DIGITS[kind]) for kind in kinds},
            "size": estimate(found[removal]["size"], 1),
            "rate": estimate(100 * found[removal]["rate"], 2, ""),
        }
        for removal in removals
    }
    for way in CONTROLLED:
        tree[way] = {}
        for kind in kinds:
            node = difference(lost(f"{way}_stable", kind), lost(f"{way}_unstable", kind), True)
            tree[way][kind] = node["value"]
            tree[way][f"{kind}_smallest"] = _minimum_detectable_effect(node)
    tree |= {
        "whole": {kind: estimate(whole[kind], 4) for kind in kinds},
        "groups": found["kind"],
    }
    if "loss_clean" in found:
        tree |= _loss_recovered(found)
    return tree


_GROUPS = ("stable", "unstable")


def _loss_recovered(found: Mapping) -> dict:
    """Loss of the clean model, loss with mean ablation, and loss recovered by each removal."""
    clean, mean = float(found["loss_clean"]), float(found["loss_mean"])

    def recovered(removal: str) -> Scalar:
        share = (mean - found[removal]["loss"]) / (mean - clean)
        return estimate(share, 2, "%")

    tree: dict = {
        "loss_clean": Scalar(clean, 3, tolerance=5e-3),
        "loss_mean": Scalar(mean, 3, tolerance=5e-3),
        "loss_recovered": {name: recovered(name) for name in ("nothing", *WHOLE)},
    }
    if "accuracy_clean" in found:
        tree["accuracy_clean"] = Scalar(100 * float(found["accuracy_clean"]), 1, "%", tolerance=0.5)
    return tree


def _responses(found: Mapping) -> dict:
    stable = found["stable"]
    tree: dict = {
        "log_frequency": _group_difference(found, found["log_frequency"], None, 3),
        "groups": found["kind"],
        "n_stable": estimate((stable == 1).sum(axis=1).astype(float), 0),
        "n_unstable": estimate((stable == 0).sum(axis=1).astype(float), 0),
        "n_pairs": estimate(((found["pair"] >= 0) & (stable == 1)).sum(axis=1).astype(float), 1),
        "rare_unstable": estimate(found["rare"][:, 0], 1, "%"),
        "rare_stable": estimate(found["rare"][:, 1], 1, "%"),
    }
    for name in MEASURES:
        tree[name] = _group_difference(found, found[name], found["random"][name], 3)
    return tree


def _group_difference(
    found: Mapping, values: np.ndarray, random: np.ndarray | None, digits: int
) -> dict:
    """Unstable minus stable latents: over all of them, and over pairs of equal firing rate.

    `random` has the measure for random directions that fire as often as each group's latents: the
    difference that firing rates alone cause.
    """
    groups = {"unstable": 0.0, "stable": 1.0}
    tree: dict = {
        name: estimate(_means(values, found["stable"] == group), digits)
        for name, group in groups.items()
    }
    sources = {"": values} | ({"random_": random} if random is not None else {})
    for prefix, table in sources.items():
        for way, of in (("difference", _all_latents), ("matched", _matched_pairs)):
            node = difference(*of(found, table), paired=True)
            tree[f"{prefix}{way}"] = node["value"]
            if not prefix:
                tree[f"{way}_smallest"] = _minimum_detectable_effect(node)
    tree["measured_pairs"] = estimate(_pair_counts(found, values), 1)
    return tree


def _means(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean over the measured latents inside a group, [S].

    If none was measured, the mean over all latents stands in, so that no difference appears.
    """
    known = ~np.isnan(values)
    return np.array(
        [
            row[some & there].mean() if (some & there).any() else row[there].mean()
            for row, some, there in zip(values, inside, known, strict=True)
        ]
    )


def _all_latents(found: Mapping, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stable = found["stable"]
    return _means(values, stable == 0), _means(values, stable == 1)


def _matched_pairs(found: Mapping, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of unstable and of stable latents, [S] each, over complete pairs."""
    whole = _complete_pairs(found, values)
    stable = found["stable"]
    return _means(values, whole & (stable == 0)), _means(values, whole & (stable == 1))


def _pair_counts(found: Mapping, values: np.ndarray) -> np.ndarray:
    return (_complete_pairs(found, values) & (found["stable"] == 1)).sum(axis=1).astype(float)


def _complete_pairs(found: Mapping, values: np.ndarray) -> np.ndarray:
    """Whether a latent is in a pair of which both latents were measured, [S, latents]."""
    inside = np.zeros(values.shape, bool)
    for row, (pair, measured) in enumerate(zip(found["pair"], values, strict=True)):
        places = np.flatnonzero((pair >= 0) & ~np.isnan(measured))
        number, counts = np.unique(pair[places], return_counts=True)
        inside[row, places] = np.isin(pair[places], number[counts == 2])
    return inside


def _minimum_detectable_effect(node: Mapping) -> Scalar:
    """Minimum detectable effect of a difference; 0 below five seeds."""
    smallest = node.get("smallest_seen", Scalar(0.0, 4))
    return Scalar(smallest.value, 4, tolerance=smallest.value + 1e-3)
