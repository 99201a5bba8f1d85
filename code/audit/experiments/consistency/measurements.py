"""Values of section "Consistency training", from the results of its arms."""

from collections.abc import Mapping
from typing import Literal, TypedDict

import numpy as np

from audit.analyses.trace import PairComparison
from audit.experiments.common.arms import NoSettings
from audit.experiments.common.summary import (
    SHARES,
    SIMILARITIES,
    difference,
    estimate,
    interval90,
    similarity,
)
from audit.experiments.consistency.experiment import ReportedTrace
from audit.pipeline.results import Array, Scalar
from audit.training.results import PairedDictionaries
from seedstability.stability.statistics.jackknife import jackknife

HEADLINE = "max_cosine"
"""The signed similarity of the first report."""
PairMetric = Literal["explained_variance", "explained_variance_scalar_mean", "mse", "dead_fraction"]
_COMPARED: tuple[Literal["pair", "judge", "judge_gauge"], ...] = ("pair", "judge", "judge_gauge")


class PairedArmResults(TypedDict):
    """Results of an arm's stages."""

    training: PairedDictionaries
    comparison: PairComparison


Arms = Mapping[str, PairedArmResults]


def reported_trace(config: ReportedTrace) -> dict:
    """The trace that the report prints."""
    cosine = np.array(config.max_cosine)
    return {
        "epoch": Array(np.array(config.epoch, float), 0),
        "max_cosine": Array(cosine, 4, tolerance=0.0),
        "weight": Scalar(config.weight, 2, tolerance=0.0),
        "first": Scalar(float(cosine[0]), 4, tolerance=0.0),
        "last": Scalar(float(cosine[-1]), 4, tolerance=0.0),
    }


def report(config: NoSettings, arms: Arms) -> dict:
    """The report's own pair without the term, at the end and over epochs (C01, C03, C04, C07)."""
    arm = arms["w0"]
    trace = arm["training"]["trace"]
    # [T, P]; epoch 0 is the initialization.
    cosine, epoch = trace["max_cosine"], trace["epoch"]
    rise = cosine[-1] - cosine[1]
    settled = np.abs(cosine.mean(axis=1) - cosine[-1].mean()) <= 0.05 * abs(rise.mean())
    late = min(3, len(epoch) - 2)
    own_pair = Scalar(float(arm["comparison"]["pair"][HEADLINE][0]), 4, tolerance=5e-3)
    return {
        **_arm(arm),
        "own_pair": own_pair,
        "trace_start": estimate(cosine[0], 4),
        "trace_first": estimate(cosine[1], 4),
        "trace_last": estimate(cosine[-1], 4),
        "trace_rise": estimate(rise, 4),
        "trace_rise_late": estimate(cosine[-1] - cosine[late], 4),
        "share_of_rise_before_first_epoch": Scalar(
            100 * float((cosine[1] - cosine[0]).mean() / (cosine[-1] - cosine[0]).mean()),
            0,
            "%",
            tolerance=15,
        ),
        "largest_fall": Scalar(
            float(np.minimum(np.diff(cosine.mean(axis=1))[1:], 0).min()), 4, tolerance=1e-3
        ),
        "settled_epoch": int(epoch[1:][settled[1:]][0]),
        "epoch": Array(epoch.astype(float), 0),
        "trace": Array(cosine.mean(axis=1), 4, tolerance=3e-3),
        "trace_own_pair": Array(cosine[:, 0], 4, tolerance=5e-3),
        "trace_explained_variance": Array(
            trace["explained_variance"].mean(axis=(1, 2)), 4, tolerance=0.01
        ),
    }


def sweep(config: NoSettings, arms: Arms) -> dict:
    """Compare each arm with the one without the term: similarity, reconstruction, references."""
    tree = {name: _beside_baseline(arms, name, "w0") for name in arms}
    return tree | {"figure": _figure(tree)}


def design(config: NoSettings, arms: Arms) -> dict:
    """Compare own and shared initialization and order of batches, without any term.

    `own_shared` is the report's own combination, and the baseline of the other three.
    """
    return {name: _beside_baseline(arms, name, "own_shared") for name in arms}


def _arm(arm: PairedArmResults) -> dict:
    """One arm: similarities of pairs and to references, chance levels, reconstruction metrics."""
    comparison = arm["comparison"]
    confirmed = comparison["votes"]["confirmed"]
    node = {
        **_nodes(comparison, "pair", "gauge"),
        "judge": _nodes(comparison, "judge", "judge_gauge", untrained=False),
        "explained_variance": estimate(_last(arm, "explained_variance"), 3),
        "explained_variance_reports": estimate(_last(arm, "explained_variance_scalar_mean"), 3),
        "mse": estimate(_last(arm, "mse"), 4),
        "dead_fraction": estimate(_last(arm, "dead_fraction"), 1, "%"),
        "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
        "agreed": estimate(comparison["votes"]["agreed"], 1, "%"),
    }
    if np.isfinite(confirmed).all():
        node["confirmed"] = estimate(confirmed, 1, "%")
        node["confirmed_by_chance"] = estimate(comparison["votes"]["confirmed_by_chance"], 1, "%")
    return node


def _nodes(
    comparison: PairComparison,
    values: Literal["pair", "judge"],
    gauge: Literal["gauge", "judge_gauge"],
    untrained: bool = True,
) -> dict:
    nodes = {}
    for name in SIMILARITIES:
        if name not in comparison[values]:
            continue
        tables = {
            "isotropic": comparison["isotropic"].get(name),
            "untrained": comparison["untrained"].get(name) if untrained else None,
            "data": comparison["data"].get(name),
            "gauge": comparison[gauge].get(name),
        }
        chance = {level: drawn for level, drawn in tables.items() if drawn is not None}
        nodes[name] = similarity(comparison[values][name], chance, share=name in SHARES)
    return nodes


def _beside_baseline(arms: Arms, name: str, baseline: str) -> dict:
    arm, plain = arms[name]["comparison"], arms[baseline]["comparison"]
    node = _arm(arms[name])
    if name == baseline:
        return node
    # Both arms are corrected by the level of the arm without the term. If a term moves chance as
    # well as the similarity, the arm's own κ shows it.
    level = plain["isotropic"][HEADLINE]
    # Some arms have only the first pairs.
    n_pairs = len(arm["pair"][HEADLINE])
    ours = {who: arm[who][HEADLINE] for who in _COMPARED}
    theirs = {who: plain[who][HEADLINE][:n_pairs] for who in _COMPARED}
    change = difference(ours["pair"], theirs["pair"], True, level, level)
    reference_change = difference(ours["judge"], theirs["judge"], True, level, level)
    above_gauge = difference(
        ours["judge"], theirs["judge"], True, ours["judge_gauge"], theirs["judge_gauge"]
    )
    variance = _last(arms[name], "explained_variance")
    variance = variance - _last(arms[baseline], "explained_variance")[:n_pairs]
    return node | {
        f"difference_from_{baseline}": change["ninety"],
        **{name: change[name] for name in ("smallest_seen", "equivalent") if name in change},
        "judged_gain": reference_change["ninety"],
        "judged_gain_above_gauge": above_gauge["ninety"],
        "explained_variance_change": interval90(jackknife(variance)),
        "same_bits": _same_bits(arms[name]["training"], arms[baseline]["training"]),
    }


def _last(arm: PairedArmResults, measure: PairMetric) -> np.ndarray:
    return arm["training"]["trace"][measure][-1].mean(axis=1)


def _same_bits(first: PairedDictionaries, second: PairedDictionaries) -> str:
    same = np.array_equal(first["decoder"], second["decoder"][: len(first["decoder"])])
    return "yes" if same else "no"


def _figure(tree: Mapping[str, dict]) -> dict:
    """Arrays over arms: similarity of pairs and to references, with their gauge levels."""
    nodes = {"pair": [arm[HEADLINE] for arm in tree.values()]}
    nodes["judge"] = [arm["judge"][HEADLINE] for arm in tree.values()]
    columns: dict = {"arms": ", ".join(tree)}
    for who, each in nodes.items():
        columns[who] = {
            "value": Array(np.array([n["value"].value for n in each]), 4, tolerance=5e-3),
            "low": Array(np.array([n["value"].low for n in each]), 4, tolerance=5e-3),
            "high": Array(np.array([n["value"].high for n in each]), 4, tolerance=5e-3),
            "gauge": Array(np.array([n["gauge"].value for n in each]), 4, tolerance=5e-3),
        }
    columns["explained_variance"] = Array(
        np.array([arm["explained_variance"].value for arm in tree.values()]), 4, tolerance=0.01
    )
    return columns
