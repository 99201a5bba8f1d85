"""What section "What raises stability" reports, one function a part."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from audit.experiments.common.summary import difference, estimate, interval90, scalar
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.interventions.rules import (
    CONFIDENCE,
    TRUTHS,
    VERDICTS,
    truth_verdict,
    verdict,
)
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.jackknife import (
    Interval,
    jackknife,
    jackknife_difference,
    jackknife_kappa,
)

_FLOOR = 0.02
"""Least tolerance of an estimate on another processor. Rows that share one draw of centroids have
intervals narrower than what another draw would change."""
HEADLINE = "max_cosine"
"""On which differences and verdicts rest."""
LEVELS = ("isotropic", "untrained", "data", "gauge")
NAMES = {
    "plain": "plain",
    "same_order": "shared order",
    "same_start": "shared start",
    "data_points": "start at own samples",
    "data_points_shared": "start at shared samples",
    "centroids_shared": "start at shared centroids",
    "archetypal": "archetypal, own centroids",
    "archetypal_shared": "archetypal, shared centroids",
    "untied": "encoder untied at start",
    "tied": "encoder tied always",
    "decay": "rate warmed up, decayed",
    "cosine": "rate falls by a cosine",
    "longer": "longer training",
    "auxk": "AuxK for silent latents",
    "resampling": "silent latents resampled",
    "falling_k": "k falls",
    "temperature": "temperature falls",
    "batch_topk": "BatchTopK",
    "relu": "ReLU",
    "jumprelu": "JumpReLU",
    "orthogonality": "orthogonality",
    "consistency": "consistency",
    "mfr": "mutual features",
}
"""Rows as texts and figures call them."""
ONE_START = ("start", "samples", "centroids")
"""What seeds share that makes their starts one and the same, so that κ begins at 1."""
OWN = {"data_points_shared": "data_points", "archetypal_shared": "archetypal"}
"""Rows that differ from another in sharing alone, with the one whose seeds have their own."""
STRENGTHS = ("weak", "middle", "strong")
"""Strengths of the entropy, ascending."""


def settings(config) -> dict:
    """The settings that the text mentions."""
    language, planted = config.language, config.planted
    steps = config.epochs * -(-config.tokens // 256)
    return {
        "seeds": len(config.seeds),
        "judges": len(config.references),
        "latents": config.base.n_latents,
        "k": config.base.k,
        "tokens": config.tokens,
        "epochs": config.epochs,
        "steps": steps,
        "longer": config.longer,
        "soft_k": config.soft_k,
        "decay_share": Scalar(100 * config.decay, 0, "%"),
        "warm_up_share": Scalar(100 * config.warm_up, 0, "%"),
        "dead_share": f"{config.dead_share:g}",
        "planted_latents": config.planted_latents,
        "planted_k": config.planted_k,
        "width": planted.d,
        "singles": planted.singles,
        "blocks": planted.blocks,
        "rank": planted.rank,
        "lowest_frequency": f"{planted.frequencies[0]:g}",
        "highest_frequency": f"{planted.frequencies[1]:g}",
        "orthogonality": f"{language.orthogonality:g}",
        "consistency": f"{language.consistency:g}",
        "mfr": f"{language.mfr:g}",
        "twin_tokens": config.twin_tokens,
        "epsilons": ", ".join(f"{epsilon:g}" for epsilon in config.epsilons),
    }


def rows(config, language: dict, planted: dict) -> dict:
    """Every intervention beside plain training."""
    of_model, of_truth = language, planted
    first = config.names[0]
    tree: dict = {}
    for name, shared in zip(config.names, config.shared, strict=True):
        model, truth = of_model[name], of_truth[name]
        tree[name] = {"name": NAMES[name], "shared": shared or "nothing"}
        tree[name] |= _row(model, truth)
        if name != first:
            tree[name] |= _beside(model, truth, of_model[first], of_truth[first], shared)
        if OWN.get(name) in config.names:
            tree[name]["less_own"] = _less_own(model, of_model[OWN[name]])
    free = [
        tree[name]
        for name, shared, drawn in zip(config.names, config.shared, config.drawn, strict=True)
        if drawn and not shared
    ]
    summary = _summary(tree, first) | {"moved": _moved(free)}
    return with_platform_tolerance(tree, _FLOOR) | {"summary": summary, "figure": _figure(tree)}


def drift(config, **inputs: dict) -> dict:
    """Twins, which begin alike, and strangers along the epochs."""
    twins, strangers = inputs["twins__comparison"], inputs["strangers__comparison"]
    epochs = [round(float(epoch)) for epoch in twins["epoch"]]
    same = _same_index(inputs["twins__training"]["trace"]["decoder"])
    tree: dict = {}
    for at, epoch in enumerate(epochs):
        tree[f"after{epoch}"] = {
            "same_latent": estimate(same[at], 3),
            "with_start": estimate(twins["cosine_with_start"][at], 3),
            **{
                name: {
                    "max_cosine": estimate(each["trained"][HEADLINE][at], 3),
                    "gauge": Scalar(
                        float(np.nanmean(each["gauge"][HEADLINE][at])), 3, tolerance=0.01
                    ),
                    "kappa": _kappa(each["trained"][HEADLINE][at], each["gauge"][HEADLINE][at]),
                }
                for name, each in (("twins", twins), ("strangers", strangers))
            },
            "twins_less_strangers": scalar(
                jackknife_difference(
                    twins["trained"][HEADLINE][at],
                    strangers["trained"][HEADLINE][at],
                    True,
                    twins["gauge"][HEADLINE][at],
                    strangers["gauge"][HEADLINE][at],
                ),
                3,
            ),
        }
    return with_platform_tolerance(tree, _FLOOR) | {"figure": _curves(tree, epochs)}


def transport(config, alignments: dict) -> dict:
    """Transport at each strength beside the assignment, each with what it gives by chance."""
    trained, gauge = alignments["trained"], alignments["gauge"]
    matched = trained["matched"], gauge["matched"]
    tree: dict = {
        "matched": _with_chance(*matched),
        "largest_error": Scalar(float(np.max(alignments["error"])), 5, tolerance=1e-2),
    }
    for at, (strength, epsilon) in enumerate(zip(STRENGTHS, config.epsilons, strict=True)):
        node: dict = {
            "epsilon": f"{epsilon:g}",
            "partners": estimate(trained["partners"][at], 1),
            "partners_gauge": estimate(gauge["partners"][at], 1),
        }
        for name in ("transported", "barycentric"):
            both = trained[name][at], gauge[name][at]
            node[name] = _with_chance(*both)
            change = difference(both[0], matched[0], True, both[1], matched[1])
            node[name]["less_matched"] = _digits(change["value"], 3)
        tree[strength] = node
    return with_platform_tolerance(tree, _FLOOR)


def _row(model: Mapping, truth: Mapping) -> dict:
    full, levels = model["full"][HEADLINE], {level: model[level] for level in LEVELS}
    return {
        "explained_variance": estimate(model["explained_variance"], 3),
        "l0": estimate(model["l0"], 1),
        "dead_fraction": estimate(model["dead_fraction"], 1, "%"),
        "cosine_with_start": estimate(model["cosine_with_start"], 3),
        "max_cosine": {"value": estimate(full, 3)}
        | {level: _level(found[HEADLINE]) for level, found in levels.items()},
        **{f"kappa_{level}": _kappa(full, found[HEADLINE]) for level, found in levels.items()},
        "matched_cosine": {
            "value": estimate(model["full"]["matched_mean"], 3),
            **{level: _level(found["matched_mean"]) for level, found in levels.items()},
            "kappa_gauge": _kappa(model["full"]["matched_mean"], model["gauge"]["matched_mean"]),
        },
        "judge": _kappa(model["judge"], model["judge_gauge"]),
        "start_kappa": _kappa(model["untrained"][HEADLINE], model["start_gauge"][HEADLINE]),
        "judge_start": _kappa(model["judge_start"], model["judge_start_gauge"]),
        "judge_matched": _kappa(model["judge_matched"], model["judge_matched_gauge"]),
        "truth": estimate(truth["truth"], 3),
        "truth_chance": _level(truth["truth_gauge"]),
        "truth_singles": estimate(truth["truth_singles"], 3),
        "planted_kappa": _kappa(truth["full"][HEADLINE], truth["gauge"][HEADLINE]),
        "planted_judge": _kappa(truth["judge"], truth["judge_gauge"]),
        "planted_explained_variance": estimate(truth["explained_variance"], 3),
        "planted_dead_fraction": estimate(truth["dead_fraction"], 1, "%"),
    }


def _beside(
    model: Mapping, truth: Mapping, plain: Mapping, plain_truth: Mapping, shared: str
) -> dict:
    """Compare an arm with plain training."""
    between, reference = _change(model, plain), _reference_change(model, plain)
    found = jackknife_difference(truth["truth"], plain_truth["truth"], True)
    gained = None if shared in ONE_START else _gained(model)
    node = {
        "difference": _difference(model, plain),
        "matched_difference": scalar(_change(model, plain, "matched_mean"), 3),
        "judge_difference": scalar(reference, 3),
        "judge_ninety": interval90(reference, 3),
        "truth_difference": scalar(found, 3),
        "planted_difference": scalar(_change(truth, plain_truth), 3),
        # Words may turn where a number moves within its tolerance; the numbers are compared.
        "verdict": {"quoted": verdict(between, reference, gained, bool(shared))},
        "truth_verdict": {"quoted": truth_verdict(found)},
    }
    return node if gained is None else node | {"gained": scalar(gained, 3)}


def _difference(model: Mapping, plain: Mapping) -> dict:
    """Difference of κ between seeds, with both intervals and the minimum detectable effect."""
    node = difference(
        model["full"][HEADLINE],
        plain["full"][HEADLINE],
        True,
        model["gauge"][HEADLINE],
        plain["gauge"][HEADLINE],
    )
    node.pop("equivalent")  # both ends of the 90% interval say it
    smallest = node["smallest_seen"]
    # A standard error of five seeds is itself known to a third or so.
    node["smallest_seen"] = replace(smallest, tolerance=smallest.value + 1e-3)
    return {name: _digits(value, 3) for name, value in node.items()}


def _less_own(model: Mapping, own: Mapping) -> dict:
    """What sharing itself brings, against the same training whose seeds share nothing."""
    return {
        "between": scalar(_change(model, own), 3),
        "judge": scalar(_reference_change(model, own), 3),
    }


def _gained(model: Mapping) -> Interval:
    """κ between seeds minus that of the same dictionaries before training."""
    return jackknife_difference(
        model["full"][HEADLINE],
        model["untrained"][HEADLINE],
        True,
        model["gauge"][HEADLINE],
        model["start_gauge"][HEADLINE],
    )


def _reference_change(model: Mapping, plain: Mapping) -> Interval:
    """Change of κ with the reference dictionaries."""
    return jackknife_difference(
        model["judge"], plain["judge"], True, model["judge_gauge"], plain["judge_gauge"]
    )


def _change(model: Mapping, plain: Mapping, statistic: str = HEADLINE) -> Interval:
    """Change of κ between seeds over the gauge level."""
    return jackknife_difference(
        model["full"][statistic],
        plain["full"][statistic],
        True,
        model["gauge"][statistic],
        plain["gauge"][statistic],
    )


def _kappa(values: ndarray, chance: float | ndarray) -> Scalar:
    return scalar(jackknife_kappa(values, chance), 3)


def _level(drawn: float | ndarray) -> Scalar:
    """A level drawn from the dictionaries themselves differs where they do."""
    spread = float(np.nanmax(drawn) - np.nanmin(drawn))
    return Scalar(float(np.nanmean(drawn)), 3, tolerance=max(2e-3, spread))


def _digits(value: Scalar, digits: int) -> Scalar:
    return replace(value, digits=digits)


def _with_chance(values: ndarray, chance: ndarray) -> dict:
    return {
        "value": scalar(jackknife(values), 3),
        "gauge": _level(chance),
        "kappa": _kappa(values, chance),
    }


def _summary(tree: Mapping, first: str) -> dict:
    """Which rows got which verdict, as lists that a sentence can hold."""
    others = [node for arm, node in tree.items() if arm != first]

    def named(what: str, wanted: str) -> str:
        chosen = [node["name"] for node in others if node[what]["quoted"] == wanted]
        return "; ".join(chosen) or "none"

    return {
        "rows": len(others),
        "excluding_zero": {
            "between": _excluding([node["difference"]["value"] for node in others]),
            "judge": _excluding([node["judge_difference"] for node in others]),
            "truth": _excluding([node["truth_difference"] for node in others]),
        },
        "by_luck": Scalar((1 - CONFIDENCE) * len(others), 1),
        **{_key(said): {"quoted": named("verdict", said)} for said in VERDICTS},
        "truth": {_key(said): {"quoted": named("truth_verdict", said)} for said in TRUTHS},
    }


def _excluding(changes: list[Scalar]) -> Scalar:
    """How many of the intervals lie on one side of zero."""
    ends = [(_part(change, "low"), _part(change, "high")) for change in changes]
    return Scalar(sum(low > 0 or high < 0 for low, high in ends), 0, tolerance=4)


def _key(said: str) -> str:
    """A verdict as part of an address."""
    return said.replace(",", "").replace(" ", "_")


def _moved(free: list[Mapping]) -> dict:
    """Rank correlation of stability with the cosine to initialization, over arms."""
    near, stable = (
        [node[leaf].value for node in free] for leaf in ("cosine_with_start", "kappa_gauge")
    )
    found = float(stats.spearmanr(near, stable).statistic)
    return {"rows": len(free), "rank_correlation": Scalar(found, 2, tolerance=0.3)}


def _figure(tree: Mapping) -> dict:
    """Rows by their κ between seeds, the highest first; the plain one among them."""
    order = sorted(tree, key=lambda arm: -tree[arm]["kappa_gauge"].value)

    def column(leaf: str, part: str) -> Array:
        return Array(np.array([getattr(tree[arm][leaf], part) for arm in order]), 3, tolerance=0.1)

    return {
        # The order may change where two rows lie within their tolerance.
        "rows": {"quoted": ", ".join(order)},
        "names": {"quoted": ", ".join(tree[arm]["name"].replace(",", ";") for arm in order)},
        "shared": {"quoted": ", ".join(tree[arm]["shared"] for arm in order)},
        **{
            leaf: {part: column(leaf, part) for part in ("value", "low", "high")}
            for leaf in ("kappa_gauge", "start_kappa", "judge", "planted_kappa", "truth")
        },
    }


def _same_index(decoders: Float[ndarray, "T S n d"]) -> Float[ndarray, "T S S"]:
    """Cosine of each latent with the one that began at the same place, in the mean."""
    rows = decoders / np.linalg.norm(decoders, axis=-1, keepdims=True)
    found = np.einsum("asnd,atnd->ast", rows, rows, optimize=True) / rows.shape[2]
    for table in found:
        np.fill_diagonal(table, np.nan)
    return found


def _curves(tree: Mapping, epochs: list[int]) -> dict:
    nodes = [tree[f"after{epoch}"] for epoch in epochs]
    curves = {
        "same_latent": [node["same_latent"] for node in nodes],
        "with_start": [node["with_start"] for node in nodes],
        "twins": [node["twins"]["max_cosine"] for node in nodes],
        "strangers": [node["strangers"]["max_cosine"] for node in nodes],
        "gauge": [node["twins"]["gauge"] for node in nodes],
    }
    return {
        "epoch": Array(np.array(epochs, float), 0),
        **{
            name: {
                part: Array(np.array([_part(value, part) for value in values]), 3, tolerance=0.05)
                for part in ("value", "low", "high")
            }
            for name, values in curves.items()
        },
    }


def _part(value: Scalar, part: str) -> float:
    """An end of the interval, or the value where there is none."""
    found = getattr(value, part)
    return value.value if found is None else found
