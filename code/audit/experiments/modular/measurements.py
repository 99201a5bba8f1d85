"""Values of section "Modular addition", one function per part."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from audit.analyses.similarity import SeedComparison
from audit.analyses.trace import TraceComparison
from audit.evaluation.results import Evaluation, FourierMeasures
from audit.experiments.common.arm_results import ArmResults, of_seeds
from audit.experiments.common.arms import NoSettings
from audit.experiments.common.summary import (
    difference,
    estimate,
    interval90,
    quality,
    similarities,
)
from audit.experiments.modular.experiment import REPORT_SEEDS, ModularSettings
from audit.pipeline.results import Array, Scalar
from audit.training.results import Dictionaries
from seedstability.similarity.comparison import chance_levels
from seedstability.stability.statistics.jackknife import jackknife, jackknife_kappa

SUBJECTS = ("leaky", "clean")
HEADLINE = "max_abs_cosine"
"""The similarity of the second report."""
Arms = Mapping[str, ArmResults]
STATISTICS = ("max_cosine", "max_abs_cosine", "matched_mean", "matched_median")


def subjects(
    config: NoSettings,
    trained: Mapping[str, Mapping[str, dict]],
    untrained: dict,
    learning: dict,
) -> dict:
    """Accuracy of the subjects, and the epochs that the leaky one takes to learn (C16)."""
    tree: dict = {}
    for kind, by_seed in trained.items():
        of_kind = list(by_seed.values())
        names = sorted(set(of_kind[0]) - {"parameters"})
        tree[kind] = {
            name: Scalar(
                100 * mean if "accuracy" in name else mean,
                2 if "accuracy" in name else 4,
                "%" if "accuracy" in name else "",
                tolerance=0.5 if "accuracy" in name else None,
            )
            for name in names
            for mean in [float(np.mean([score[name] for score in of_kind]))]
        }
        tree[kind]["parameters"] = of_kind[0]["parameters"]
        tree[kind]["transformers"] = len(of_kind)
    tree["untrained"] = {"heldout_accuracy": Scalar(100 * untrained["heldout_accuracy"], 2, "%")}
    tree["leaky"]["accuracy_without_answer"] = tree["leaky"].pop("earlier_heldout_accuracy")
    tree["leaky"]["epochs_to_learn"] = int(learning["learnt_epoch"])
    tree["learning"] = {
        "epoch": Array(learning["epoch"].astype(float), 0),
        "heldout_accuracy": Array(learning["heldout_accuracy"], 3, tolerance=0.05),
        "earlier_heldout_accuracy": Array(learning["earlier_heldout_accuracy"], 3, tolerance=0.02),
    }
    return tree


def headline(config: NoSettings, arms: Arms) -> dict:
    """The base configuration over the report's seeds and over all, live latents, and the span of
    the data (C10–C13, C15)."""
    tree: dict = {}
    for name, arm in arms.items():
        evaluation, comparison = arm["evaluation"], arm["comparison"]
        tree[name] = {
            "seeds": len(comparison["seeds"]),
            "report": similarities(of_seeds(arm, REPORT_SEEDS)["comparison"]),
            "all": similarities(comparison),
            "live": similarities(comparison, scope="live"),
            "span": similarities(comparison, scope="span"),
            "encoder": _encoders(comparison),
            "quality": quality(evaluation) | _report_dead(evaluation),
            "rank": {
                kind: Scalar(float(value), 1 if kind != "span" else 0)
                for kind, value in comparison["rank"].items()
            },
            "reproducibility": _reproducibility(comparison),
            "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
        }
    tree |= _levels_figure(tree)
    return tree


def layers(config: NoSettings, arms: Arms) -> dict:
    """The other layer, with few seeds."""
    return _values_by_arm(arms)


def conventions(config: NoSettings, arms: Arms) -> dict:
    """Arms trained as in the literature."""
    return _values_by_arm(arms)


def controls(config: NoSettings, arms: Arms) -> dict:
    """Control arms, beside TopK on the clean subject in the base configuration."""
    return _values_by_arm(arms)


def subject_seeds(config: ModularSettings, arms: Arms) -> dict:
    """TopK on further transformers, to test whether results depend on the subject's seed."""
    tree: dict = {}
    for kind in SUBJECTS:
        of_kind = {f"seed{seed}": arms[f"{kind}{seed}"] for seed in config.subject_seeds}
        of_kind["seed0"] = arms[f"topk_{kind}"]
        nodes = {name: _arm_values(arm) for name, arm in sorted(of_kind.items())}
        kappas = [node[HEADLINE]["kappa_gauge"].value for node in nodes.values()]
        tree[kind] = nodes | {
            "lowest_kappa": Scalar(min(kappas), 4, tolerance=0.01),
            "highest_kappa": Scalar(max(kappas), 4, tolerance=0.01),
        }
    return tree


def architecture(config: ModularSettings, arms: Arms) -> dict:
    """TopK minus ReLU: as reported, at equal L0, at equal explained variance (C12)."""
    pairings = {
        "as_reported": ("topk_{}", "relu_{}"),
        "equal_l0": ("topk_equal_l0_{}", "relu_equal_{}"),
        "equal_explained_variance": ("topk_equal_variance_{}", "relu_equal_{}"),
        "literature": ("literature_topk_{}", "literature_relu_{}"),
    }
    return {
        subject: {
            name: _architectures(
                *(
                    arm if name == "as_reported" else _at_most_report_seeds(arm)
                    for arm in (arms[first.format(subject)], arms[second.format(subject)])
                )
            )
            for name, (first, second) in pairings.items()
        }
        for subject in SUBJECTS
    }


def sizes(config: ModularSettings, arms: Arms) -> dict:
    """TopK on the clean subject over the number of latents."""
    points = {f"size{size}": size for size in (*config.sizes, config.large)}
    points["topk_clean"] = config.n_latents
    names = sorted(points, key=points.__getitem__)
    tree: dict = {"size": Array(np.array([points[name] for name in names], float), 0)}
    nodes = [_arm_values(arms[name]) for name in names]
    # Addresses name the place in the sweep, not the size, so that all profiles share them.
    return tree | {"smallest": nodes[0], "largest": nodes[-1]} | _curves(nodes)


class TracedArm(TypedDict):
    """One long training and the comparison of its decoders at the traced epochs."""

    training: Dictionaries
    comparison: TraceComparison


def length(config: NoSettings, subjects: Mapping[str, TracedArm]) -> dict:
    """Decoder similarities over one long training, with chance levels."""
    tree: dict = {}
    for subject, arm in subjects.items():
        training, comparison = arm["training"], arm["comparison"]
        epochs = comparison["epoch"]
        tree[subject] = {"epoch": Array(epochs.astype(float), 0)}
        for name in STATISTICS:
            chance = {
                "isotropic": comparison["isotropic"][name],
                "data": comparison["data"][name],
            }
            trained, gauge = comparison["trained"][name], comparison["gauge"][name]
            tree[subject][name] = {
                **_pair_intervals(trained),
                "gauge": Array(_pair_means(gauge), 4, tolerance=0.01),
                "isotropic": Array(np.full(len(epochs), chance["isotropic"]), 4),
                "data": Array(np.full(len(epochs), chance["data"]), 4, tolerance=2e-3),
            }
        start = comparison["cosine_with_start"].mean(axis=1)
        tree[subject]["cosine_with_start"] = Array(start, 3, tolerance=0.01)
        variance = training["trace"]["explained_variance"].mean(axis=1)
        tree[subject]["explained_variance"] = Array(variance, 4, tolerance=0.01)
        kappas = [
            jackknife_kappa(comparison["trained"][HEADLINE][t], comparison["gauge"][HEADLINE][t])
            for t in (0, -1)
        ]
        tree[subject] |= {
            "kappa_short": interval90(kappas[0]),
            "kappa_long": interval90(kappas[1]),
            "kappa_gain": Scalar(kappas[1].mean - kappas[0].mean, 4, tolerance=0.02),
            "explained_variance_long": Scalar(float(variance[-1]), 3, tolerance=0.01),
        }
    return tree


def fourier(config: NoSettings, arms: Mapping[str, FourierMeasures]) -> dict:
    """The three Fourier measures, each with its chance level and positive control (C14)."""
    tree: dict = {}
    for arm, measured in arms.items():
        by_name = {
            "naive_overlap": measured["naive"],
            "concentration": measured["latents"],
            "decoder_concentration": measured["decoder"],
        }
        node: dict = {}
        for name, found in by_name.items():
            node[name] = estimate(found["value"], 3, chance=float(found["chance"].mean()))
            node[f"{name}_chance"] = Scalar(float(found["chance"].mean()), 3, tolerance=5e-3)
            if "control" in found:
                node[f"{name}_control"] = Scalar(found["control"], 3, tolerance=0.02)
            node[f"kappa_{name}"] = interval90(jackknife_kappa(found["value"], found["chance"]))
        node["kappa_naive"] = node.pop("kappa_naive_overlap")
        node["naive_chance_sd"] = Scalar(measured["naive"]["chance_spread"], 3)
        tree[arm] = node
    return tree


def _values_by_arm(arms: Arms) -> dict:
    return {name: _arm_values(arm) for name, arm in arms.items()}


def _arm_values(arm: ArmResults) -> dict:
    """An arm's decoder similarities, reconstruction metrics and cosine to initialization."""
    arm = _at_most_report_seeds(arm)
    comparison = arm["comparison"]
    return similarities(comparison, names=STATISTICS) | {
        "live": similarities(comparison, "live", names=(HEADLINE, "matched_mean")),
        "quality": quality(arm["evaluation"]),
        "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
    }


def _at_most_report_seeds(arm: ArmResults) -> ArmResults:
    """The report's seeds, or as many of them as the arm has."""
    there = set(arm["comparison"]["seeds"].tolist())
    return of_seeds(arm, there.intersection(REPORT_SEEDS))


def _encoders(comparison: SeedComparison) -> dict:
    """Similarities of encoders, whole and within the span of the data, with its chance level."""
    full, span = comparison["full"], comparison["span"]
    return {
        HEADLINE: estimate(full[f"encoder_{HEADLINE}"], 4),
        "matched_mean": estimate(full["encoder_matched_mean"], 4),
        f"span_{HEADLINE}": estimate(
            span[f"encoder_{HEADLINE}"], 4, chance=comparison["isotropic_span"][HEADLINE]
        ),
    }


def _report_dead(evaluation: Evaluation) -> dict:
    """Dead latents as the report counts them: fewer than ten firings in the last epoch."""
    return {"dead_fraction_reports": estimate(evaluation["rarely_firing_fraction"], 1, "%")}


def _reproducibility(comparison: SeedComparison) -> dict:
    recurrence = comparison["reproducibility"]
    return {
        "mean": Scalar(float(recurrence.mean()), 3, tolerance=0.01),
        "stable": Scalar(100 * float((recurrence >= 0.95).mean()), 1, "%", tolerance=1.0),
        "unstable": Scalar(100 * float((recurrence <= 0.05).mean()), 1, "%", tolerance=1.0),
    }


def _levels_figure(tree: dict) -> dict:
    """Arrays of the main figure: the headline similarity of each arm and its four chance levels."""
    nodes = [tree[name]["all"][HEADLINE] for name in tree]
    levels = {
        level: Array(np.array([node[level].value for node in nodes]), 4, tolerance=2e-3)
        for level in ("isotropic", "untrained", "data", "gauge")
    }
    value = [node["value"] for node in nodes]
    return {
        "figure": {
            "arms": ", ".join(tree),
            "value": Array(np.array([v.value for v in value]), 4, tolerance=5e-3),
            "low": Array(np.array([v.low for v in value]), 4, tolerance=5e-3),
            "high": Array(np.array([v.high for v in value]), 4, tolerance=5e-3),
            **levels,
        }
    }


def _architectures(*arms: ArmResults) -> dict:
    """TopK minus ReLU: in the similarity, and in κ against two chance levels."""
    comparisons = [arm["comparison"] for arm in arms]
    values = [comparison["full"][HEADLINE] for comparison in comparisons]
    levels = [chance_levels(comparison, HEADLINE) for comparison in comparisons]
    topk, relu = values
    plain = difference(topk, relu, paired=False)
    isotropic, gauge = (
        difference(topk, relu, False, levels[0][level], levels[1][level])
        for level in ("isotropic", "gauge")
    )
    qualities = [quality(arm["evaluation"]) for arm in arms]
    return {
        "max_abs_cosine_difference": plain["value"],
        "kappa_difference": isotropic["ninety"],
        "kappa_gauge_difference": gauge["ninety"],
        "smallest_seen": isotropic["smallest_seen"],
        "equivalent": isotropic["equivalent"],
        **{
            f"{kind}_{measure}": each[measure]
            for kind, each in zip(("topk", "relu"), qualities, strict=True)
            for measure in ("l0", "explained_variance")
        },
    }


def _curves(nodes: list[dict]) -> dict:
    """Arrays over the points of a sweep, for a figure."""
    curves: dict = {}
    for name in STATISTICS:
        columns = {
            level: np.array([node[name][level].value for node in nodes])
            for level in ("value", "isotropic", "untrained", "data", "gauge")
        }
        columns["low"] = np.array([node[name]["value"].low for node in nodes])
        columns["high"] = np.array([node[name]["value"].high for node in nodes])
        curves[name] = {key: Array(column, 4, tolerance=5e-3) for key, column in columns.items()}
    variance = np.array([node["quality"]["explained_variance"].value for node in nodes])
    return curves | {"explained_variance": Array(variance, 3, tolerance=0.01)}


def _pair_intervals(tables: np.ndarray) -> dict[str, Array]:
    """Mean over pairs with the ends of its interval, of [T, S, S] matrices."""
    found = [jackknife(table) for table in tables]
    columns = {
        "value": [each.mean for each in found],
        "low": [each.low for each in found],
        "high": [each.high for each in found],
    }
    return {name: Array(np.array(column), 4, tolerance=0.01) for name, column in columns.items()}


def _pair_means(tables: np.ndarray) -> np.ndarray:
    """Mean over pairs of [T, S, S] matrices."""
    return np.nanmean(tables, axis=(1, 2))
