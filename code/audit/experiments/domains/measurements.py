"""Values of section "Code and prose", one function per part."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from audit.analyses.similarity import SeedComparison
from audit.experiments.common.arm_results import ArmResults, of_seeds
from audit.experiments.common.summary import (
    difference,
    estimate,
    interval90,
    quality,
    scalar,
    similarities,
)
from audit.experiments.domains.experiment import DomainsSettings
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.jackknife import jackknife_kappa, jackknife_statistic

THRESHOLD = 0.7
KINDS = ("code", "prose")
NAMES = ("max_cosine", "matched_mean", "matched_median", "shared", "agreeing")
ACROSS = ("max_cosine", "matched_mean", "shared", "shared_decoder_only", "agreeing")
SHARES = ("shared", "shared_decoder_only", "agreeing")


def within(config: DomainsSettings, arms: Mapping[str, ArmResults]) -> dict:
    """Similarities of dictionaries of one domain, and of those trained on both."""
    arms = {name: of_seeds(arm, config.base.few_seeds) for name, arm in arms.items()}
    comparisons = {name: arm["comparison"] for name, arm in arms.items()}
    tree: dict = {}
    for name, comparison in comparisons.items():
        tree[name] = {
            **similarities(comparison, names=NAMES),
            "live": similarities(comparison, "live", names=NAMES),
            "quality": quality(arms[name]["evaluation"]),
            "rank": {kind: Scalar(float(value), 1) for kind, value in comparison["rank"].items()},
            "reproducibility": estimate(comparison["reproducibility"].mean(axis=1), 3),
            "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
        }
    return tree | {
        "code_less_both": _kappa_difference(comparisons, "code", "both"),
        "prose_less_both": _kappa_difference(comparisons, "prose", "both"),
        "code_less_prose": _kappa_difference(comparisons, "code", "prose"),
    }


def across(config, pairs: dict) -> dict:
    """Similarities between dictionaries of code and of prose, and recurrence in both."""
    tree: dict = {name: _of_pairs(pairs, name) for name in ACROSS}
    for side, name in zip(("first", "second"), KINDS, strict=True):
        best = pairs[side]
        tree[name] = {
            "rank_correlation": scalar(_over_seeds(best, _rank_correlation("across")), 3),
            "rank_correlation_gauge": scalar(_over_seeds(best, _rank_correlation("gauge")), 3),
            "within": scalar(_over_seeds(best, lambda v: float(v["within"].mean())), 3),
            "across": scalar(_over_seeds(best, lambda v: float(v["across"].mean())), 3),
            "gauge": scalar(_over_seeds(best, lambda v: float(v["gauge"].mean())), 3),
            "loss": scalar(
                _over_seeds(best, lambda v: float((v["within"] - v["across"]).mean())), 3
            ),
            "stable_found": scalar(_over_seeds(best, _share_found(stable=True)), 1, "%"),
            "unstable_found": scalar(_over_seeds(best, _share_found(stable=False)), 1, "%"),
            "stable_found_gauge": scalar(_over_seeds(best, _share_found(True, "gauge")), 1, "%"),
            "stable": scalar(_over_seeds(best, lambda v: float((v["p"] >= 0.95).mean())), 1, "%"),
            "figure": _figure(best),
        }
    return tree


def _kappa_difference(comparisons: Mapping[str, SeedComparison], first: str, second: str) -> dict:
    """First minus second arm in κ against the gauge level, paired by seed."""
    one, other = comparisons[first], comparisons[second]
    found = {}
    for name in ("max_cosine", "matched_mean", "shared"):
        found[name] = difference(
            one["full"][name],
            other["full"][name],
            True,
            one["gauge"][name],
            other["gauge"][name],
        )
        found[name].pop("equivalent")  # The interval shows it.
        smallest = found[name]["smallest_seen"]
        # A standard error over five seeds is itself uncertain by a third or so.
        found[name]["smallest_seen"] = replace(smallest, tolerance=smallest.value + 1e-3)
    return found


def _of_pairs(pairs: Mapping, name: str) -> dict:
    """Similarity across domains over pairs of different seeds; the jackknife drops a seed in both.

    Pairs of the same seed share their initialization, which alone makes them alike. They are
    reported apart, as `same_start`.
    """
    values, level = pairs[name], pairs["gauge"][name]
    scale = "%" if name in SHARES else ""
    digits = 2 if scale else 4

    values, level = (0.5 * (table + table.T) for table in (values, level))
    node = {
        "value": estimate(values, digits, scale),
        "gauge": estimate(level, digits, scale),
        "same_start": estimate(np.diag(pairs[name]).copy(), digits, scale),
    }
    return node | {"kappa_gauge": interval90(jackknife_kappa(values, level))}


Values = dict[str, Float[ndarray, " latents"]]


def _over_seeds(best: Mapping[str, ndarray], statistic: Callable[[Values], float]):
    """Interval of a statistic over the latents of all seeds; the jackknife drops a seed in both."""
    return jackknife_statistic(
        lambda seeds: statistic(_latents(best, seeds)), len(best["within"]), group=2
    )


def _latents(best: Mapping[str, ndarray], seeds: ndarray) -> Values:
    """Per latent: mean best cosine within, across and by chance, and p̂ within and across."""
    some = np.ix_(seeds, seeds)
    within, across, gauge = (best[kind][some] for kind in ("within", "across", "gauge"))
    # The same seed has the same dictionary within, and the same initialization across.
    other_seed = ~np.eye(len(seeds), dtype=bool)

    def mean(values: ndarray) -> ndarray:
        return values[other_seed].reshape(len(seeds), len(seeds) - 1, -1).mean(axis=1).ravel()

    return {
        "within": mean(within),
        "across": mean(across),
        "gauge": mean(gauge),
        "p": mean(within >= THRESHOLD),
        "found_across": mean(across >= THRESHOLD),
        "found_gauge": mean(gauge >= THRESHOLD),
    }


def _rank_correlation(kind: str) -> Callable[[Values], float]:
    return lambda values: float(stats.spearmanr(values["within"], values[kind]).statistic)


def _share_found(stable: bool, kind: str = "across") -> Callable[[Values], float]:
    """Share of the latents stable, or unstable, within that are found in the other domain."""

    def share(values: Values) -> float:
        chosen = values["p"] >= 0.95 if stable else values["p"] <= 0.05
        return float(values[f"found_{kind}"][chosen].mean()) if chosen.any() else 0.0

    return share


def _figure(best: Mapping[str, ndarray]) -> dict:
    """Arrays of the figure: best cosine across, in ten classes by mean best cosine within."""
    values = _latents(best, np.arange(len(best["within"])))
    classes = np.array_split(np.argsort(values["within"], kind="stable"), 10)
    columns = {
        "within": [values["within"][c].mean() for c in classes],
        "median": [np.median(values["across"][c]) for c in classes],
        "low": [np.quantile(values["across"][c], 0.25) for c in classes],
        "high": [np.quantile(values["across"][c], 0.75) for c in classes],
        "gauge": [np.median(values["gauge"][c]) for c in classes],
    }
    return {name: Array(np.array(column), 3, tolerance=0.05) for name, column in columns.items()}
