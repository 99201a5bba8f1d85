"""What section "What raises stability" reports, one function a part."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from audit.analyses.reference import ReferenceScores
from audit.analyses.trace import TraceComparison
from audit.analyses.transport import TransportComparison
from audit.experiments.common.arrays import with_ends
from audit.experiments.common.summary import difference, estimate, interval90, scalar
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.interventions.experiment import ArmsConfig, InterventionSettings
from audit.experiments.interventions.rules import (
    CONFIDENCE,
    TRUTHS,
    VERDICTS,
    truth_verdict,
    verdict,
)
from audit.pipeline.results import Array, Scalar
from audit.training.results import TracedDecoders
from seedstability.similarity.comparison import Chance
from seedstability.similarity.names import LEVELS
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
ONE_START = ("start", "samples", "centroids")
"""What seeds share that makes their starts one and the same, so that κ begins at 1."""
STRENGTHS = ("weak", "middle", "strong")
"""Strengths of the entropy, ascending."""


class WithChance(NamedTuple):
    """A similarity [S] or [S, S], and the same by chance."""

    values: ndarray
    chance: Chance

    @property
    def kappa(self) -> Scalar:
        """Mean κ."""
        return scalar(jackknife_kappa(self.values, self.chance), 3)

    def minus(self, other: "WithChance") -> Interval:
        """Difference in κ, paired by seed."""
        return jackknife_difference(self.values, other.values, True, self.chance, other.chance)


class Scores:
    """Scores of an arm, each beside its gauge level."""

    def __init__(self, found: ReferenceScores):
        self.found = found
        self.between = WithChance(found["full"][HEADLINE], found["gauge"][HEADLINE])
        self.matched = WithChance(found["full"]["matched_mean"], found["gauge"]["matched_mean"])
        self.before = WithChance(found["untrained"][HEADLINE], found["start_gauge"][HEADLINE])
        self.reference = WithChance(found["judge"], found["judge_gauge"])
        self.reference_before = WithChance(found["judge_start"], found["judge_start_gauge"])
        self.reference_matched = WithChance(found["judge_matched"], found["judge_matched_gauge"])

    def levels(self, statistic: str) -> dict[str, Chance]:
        """Chance levels of a statistic between seeds."""
        tables: Mapping = self.found
        return {level: tables[level][statistic] for level in LEVELS}


def rows(
    config: ArmsConfig,
    language: Mapping[str, ReferenceScores],
    planted: Mapping[str, ReferenceScores],
) -> dict:
    """Every intervention beside plain training."""
    truth = {name: Scores(found) for name, found in planted.items()}
    plain = config.arms[0].name
    tree = _on_the_model(config, language)
    for name, node in tree.items():
        node |= _truth_row(truth[name])
        if name != plain:
            node |= _truth_beside(truth[name], truth[plain])
    free = [tree[arm.name] for arm in config.arms if arm.drawn and not arm.shared]
    summary = _summary([tree[arm.name] for arm in config.arms[1:]]) | {"moved": _moved(free)}
    return with_platform_tolerance(tree, _FLOOR) | {"summary": summary, "figure": _figure(tree)}


def language_rows(config: ArmsConfig, language: Mapping[str, ReferenceScores]) -> dict:
    """The interventions beside plain training on a language model, without a planted truth."""
    return with_platform_tolerance(_on_the_model(config, language), _FLOOR)


def _on_the_model(config: ArmsConfig, language: Mapping[str, ReferenceScores]) -> dict:
    model = {name: Scores(found) for name, found in language.items()}
    plain = config.arms[0].name
    tree: dict = {}
    for arm in config.arms:
        name, own = arm.name, arm.own
        tree[name] = {"name": arm.title, "shared": arm.shared or "nothing"}
        tree[name] |= _row(model[name])
        if name != plain:
            tree[name] |= _beside(model[name], model[plain], arm.shared)
        if own in model:
            tree[name]["less_own"] = {
                "between": scalar(model[name].between.minus(model[own].between), 3),
                "judge": scalar(model[name].reference.minus(model[own].reference), 3),
            }
    return tree


def drift(
    config: InterventionSettings,
    decoders: TracedDecoders,
    twins: TraceComparison,
    strangers: TraceComparison,
) -> dict:
    """Twins, which begin alike, and strangers along the epochs; `decoders` are the twins'."""
    epochs = [round(float(epoch)) for epoch in twins["epoch"]]
    same = _same_index(decoders["trace"]["decoder"])
    tree: dict = {}
    for at, epoch in enumerate(epochs):
        of_twins, of_strangers = (
            WithChance(each["trained"][HEADLINE][at], each["gauge"][HEADLINE][at])
            for each in (twins, strangers)
        )
        tree[f"after{epoch}"] = {
            "same_latent": estimate(same[at], 3),
            "with_start": estimate(twins["cosine_with_start"][at], 3),
            "twins": _drifted(of_twins),
            "strangers": _drifted(of_strangers),
            "twins_less_strangers": scalar(of_twins.minus(of_strangers), 3),
        }
    return with_platform_tolerance(tree, _FLOOR) | {"figure": _curves(tree, epochs)}


def transport(config: InterventionSettings, alignments: TransportComparison) -> dict:
    """Transport at each strength beside the assignment, each with what it gives by chance."""
    trained, gauge = alignments["trained"], alignments["gauge"]
    matched = WithChance(trained["matched"], gauge["matched"])
    tree: dict = {
        "matched": _with_gauge(matched),
        "largest_error": Scalar(float(np.max(alignments["error"])), 5, tolerance=1e-2),
    }
    for at, (strength, epsilon) in enumerate(zip(STRENGTHS, config.epsilons, strict=True)):
        transported = WithChance(trained["transported"][at], gauge["transported"][at])
        barycentric = WithChance(trained["barycentric"][at], gauge["barycentric"][at])
        tree[strength] = {
            "epsilon": f"{epsilon:g}",
            "partners": estimate(trained["partners"][at], 1),
            "partners_gauge": estimate(gauge["partners"][at], 1),
            **{
                name: _with_gauge(each) | {"less_matched": scalar(each.minus(matched), 3)}
                for name, each in (("transported", transported), ("barycentric", barycentric))
            },
        }
    return with_platform_tolerance(tree, _FLOOR)


def _row(model: Scores) -> dict:
    levels, matched_levels = model.levels(HEADLINE), model.levels("matched_mean")
    full = model.between.values
    return {
        "explained_variance": estimate(model.found["explained_variance"], 3),
        "l0": estimate(model.found["l0"], 1),
        "dead_fraction": estimate(model.found["dead_fraction"], 1, "%"),
        "cosine_with_start": estimate(model.found["cosine_with_start"], 3),
        "max_cosine": {"value": estimate(full, 3), **_levels(levels)},
        **{f"kappa_{level}": WithChance(full, chance).kappa for level, chance in levels.items()},
        "matched_cosine": {
            "value": estimate(model.matched.values, 3),
            **_levels(matched_levels),
            "kappa_gauge": model.matched.kappa,
        },
        "judge": model.reference.kappa,
        "start_kappa": model.before.kappa,
        "judge_start": model.reference_before.kappa,
        "judge_matched": model.reference_matched.kappa,
    }


def _truth_row(truth: Scores) -> dict:
    return {
        "truth": estimate(truth.found["truth"], 3),
        "truth_chance": _level(truth.found["truth_gauge"]),
        "truth_singles": estimate(truth.found["truth_singles"], 3),
        "planted_kappa": truth.between.kappa,
        "planted_judge": truth.reference.kappa,
        "planted_explained_variance": estimate(truth.found["explained_variance"], 3),
        "planted_dead_fraction": estimate(truth.found["dead_fraction"], 1, "%"),
    }


def _beside(model: Scores, plain: Scores, shared: str) -> dict:
    """Compare an arm with plain training on the language model."""
    between = model.between.minus(plain.between)
    reference = model.reference.minus(plain.reference)
    gained = None if shared in ONE_START else model.between.minus(model.before)
    node = {
        "difference": _difference(model.between, plain.between),
        "matched_difference": scalar(model.matched.minus(plain.matched), 3),
        "judge_difference": scalar(reference, 3),
        "judge_ninety": interval90(reference, 3),
        # Words may turn where a number moves within its tolerance; the numbers are compared.
        "verdict": {"quoted": verdict(between, reference, gained, bool(shared))},
    }
    return node if gained is None else node | {"gained": scalar(gained, 3)}


def _truth_beside(truth: Scores, plain: Scores) -> dict:
    """Compare an arm with plain training on the planted truth."""
    found = jackknife_difference(truth.found["truth"], plain.found["truth"], True)
    return {
        "truth_difference": scalar(found, 3),
        "planted_difference": scalar(truth.between.minus(plain.between), 3),
        "truth_verdict": {"quoted": truth_verdict(found)},
    }


def _difference(arm: WithChance, plain: WithChance) -> dict:
    """Difference of κ between seeds, with both intervals and the minimum detectable effect."""
    node = difference(arm.values, plain.values, True, arm.chance, plain.chance)
    smallest = node["smallest_seen"]
    return {
        "value": replace(node["value"], digits=3),
        "ninety": replace(node["ninety"], digits=3),
        # A standard error of five seeds is itself known to a third or so.
        "smallest_seen": replace(smallest, digits=3, tolerance=smallest.value + 1e-3),
    }


def _level(drawn: Chance) -> Scalar:
    """A level drawn from the dictionaries themselves differs where they do."""
    spread = float(np.nanmax(drawn) - np.nanmin(drawn))
    return Scalar(float(np.nanmean(drawn)), 3, tolerance=max(2e-3, spread))


def _levels(levels: Mapping[str, Chance]) -> dict[str, Scalar]:
    return {level: _level(drawn) for level, drawn in levels.items()}


def _drifted(found: WithChance) -> dict:
    return {
        "max_cosine": estimate(found.values, 3),
        "gauge": Scalar(float(np.nanmean(found.chance)), 3, tolerance=0.01),
        "kappa": found.kappa,
    }


def _with_gauge(found: WithChance) -> dict:
    return {
        "value": scalar(jackknife(found.values), 3),
        "gauge": _level(found.chance),
        "kappa": found.kappa,
    }


def _summary(others: Sequence[Mapping]) -> dict:
    """Which rows got which verdict, as lists that a sentence can hold."""

    def named(what: str, wanted: str) -> dict:
        chosen = [node["name"] for node in others if node[what]["quoted"] == wanted]
        return {"quoted": "; ".join(chosen) or "none"}

    return {
        "rows": len(others),
        "excluding_zero": {
            "between": _excluding([node["difference"]["value"] for node in others]),
            "judge": _excluding([node["judge_difference"] for node in others]),
            "truth": _excluding([node["truth_difference"] for node in others]),
        },
        "by_luck": Scalar((1 - CONFIDENCE) * len(others), 1),
        **{_key(said): named("verdict", said) for said in VERDICTS},
        "truth": {_key(said): named("truth_verdict", said) for said in TRUTHS},
    }


def _excluding(changes: list[Scalar]) -> Scalar:
    """How many of the intervals lie on one side of zero."""
    ends = with_ends(changes, 3, 0.0)
    count = int(((ends["low"].values > 0) | (ends["high"].values < 0)).sum())
    return Scalar(count, 0, tolerance=4)


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
    """Values of all rows, and the order in which they are shown: by κ between seeds, falling."""
    order = sorted(tree, key=lambda arm: -tree[arm]["kappa_gauge"].value)

    return {
        # The order may change where two rows lie within their tolerance. Arrays keep that of the
        # settings, so that another machine's have the same row at the same place.
        "declared": {"quoted": ", ".join(tree)},
        "rows": {"quoted": ", ".join(order)},
        "names": {"quoted": ", ".join(tree[arm]["name"].replace(",", ";") for arm in order)},
        "shared": {"quoted": ", ".join(tree[arm]["shared"] for arm in order)},
        **{
            leaf: with_ends([tree[arm][leaf] for arm in tree], 3, 0.1)
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
        **{name: with_ends(values, 3, 0.05) for name, values in curves.items()},
    }
