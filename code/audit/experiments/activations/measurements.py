"""Values of section "What latents do", one function per part."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from scipy import stats

from audit.evaluation.behavior.ablation import COMPARED, Ablations, Compared
from audit.evaluation.behavior.correlation import Correlations, Level
from audit.experiments.activations.experiment import ActivationsMeasurementConfig
from audit.experiments.common.summary import estimate, interval90, scalar, similarity
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.jackknife import (
    Interval,
    jackknife,
    jackknife_difference,
    jackknife_kappa,
)
from seedstability.stability.statistics.power import minimum_detectable_effect

SHARES = ("same_partner", "both", "activations_only", "decoder_only")
MEANS = (
    "matched_correlation",
    "partner_correlation",
    "correlation_of_same",
    "correlation_of_unlike",
    "matched_cosine",
)
CONDITIONAL = ("correlation_of_same", "correlation_of_unlike")
"""Means over latents in a range of cosines. A chance level is over other and fewer latents."""
RANKS = ("spearman", "spearman_matched")
LEVELS: tuple[Level, ...] = ("value", "shuffled", "gauge")
AblationSimilarity = Literal["effect", "weighted_effect", "kl_ratio"]
ABLATION_SIMILARITIES: tuple[AblationSimilarity, ...] = get_args(AblationSimilarity)
"""Three similarities of two ablations, 1 if their effects are the same."""
CHANCE: tuple[Compared, ...] = ("other", "gauge")


def correlation(config: ActivationsMeasurementConfig, found: Correlations) -> dict:
    """Correlation of activations over decoder cosine, latent by latent."""
    levels = {level: found[level] for level in LEVELS}
    tree: dict = {"live_latents": Scalar(float(found["live"].mean()), 1, tolerance=10.0)}
    for name in (*MEANS, *SHARES):
        tables: dict[str, np.ndarray] = {level: table[name] for level, table in levels.items()}
        if name == "matched_cosine":
            # Shuffled contexts leave decoders as they are.
            del tables["shuffled"]
        if has_interval(tables["value"]):
            tree[name] = _beside_chance(tables, share=name in SHARES)
    for name in tree.keys() & set(CONDITIONAL):
        # Latents that a gauge scramble leaves alike lie along leading components, so that κ would
        # compare two kinds of latents.
        tree[name].pop("kappa_gauge", None)
    same: dict[str, np.ndarray] = {
        level: table["both"] + table["decoder_only"]
        for level, table in levels.items()
        if level != "shuffled"
    }
    tree["same_by_decoder"] = _beside_chance(same, share=True)
    for name in RANKS:
        if has_interval(values := found["value"][name]):
            tree[name] = _rank_values(values, found["gauge"][name])
    edges = config.correlation.edges
    tree["curve"] = _curve(
        {level: table["binned_correlation"] for level, table in levels.items()}, edges
    ) | {"share": Array(100 * np.nanmean(found["value"]["binned_share"], (0, 1)), 1, tolerance=3.0)}
    return tree


def ablation(config: ActivationsMeasurementConfig, found: Ablations) -> dict:
    """Effects on the next token of ablating a latent, and of ablating its partner."""
    own = config.ablation
    weights = latent_weights(found, own.strata)
    everywhere = np.isfinite(found["cosine"])
    subsets = {
        "all": everywhere,
        "same": found["cosine"] >= config.correlation.threshold,
        "unlike": found["cosine"] < config.correlation.unlike,
    }
    tree: dict = {
        subset: node
        for subset, mask in subsets.items()
        if (node := _ablation_similarities(found, weights * mask))
    }
    share = np.where(everywhere, found["partner"]["effect"] >= config.correlation.threshold, np.nan)
    return tree | {
        "pairs": len(found["cosine"]),
        "same_effect": estimate(ring(weighted_means(share, weights)), 1, "%", tolerance=3.0),
        "kl_millinats": estimate(1000 * ring(weighted_means(found["kl"], weights)), 2),
        "spearman": _rank_values(*_rank_correlations(found, "cosine")),
        "spearman_correlation": _rank_values(*_rank_correlations(found, "correlation")),
        "curve": _strata(found, own.strata),
    }


def latent_weights(found: Ablations, strata: tuple[float, ...]) -> np.ndarray:
    """Weights under which the drawn latents represent all live ones, [P, L].

    Each stratum has its share of the population; missing latents weigh 0.
    """
    place = np.digitize(found["cosine"], strata)
    weights = np.zeros(place.shape)
    for pair, (row, there) in enumerate(zip(place, np.isfinite(found["cosine"]), strict=True)):
        count = np.bincount(row[there], minlength=len(strata) + 1)
        weights[pair, there] = found["population"][pair][row[there]] / count[row[there]]
    return weights


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over latents, from [P, L] to [P], without NaN; NaN if no latent has a value."""
    weights = np.where(np.isfinite(values), weights, 0.0)
    total = weights.sum(axis=1)
    sums = (np.nan_to_num(values) * weights).sum(axis=1)
    return np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)


def ring(values: np.ndarray) -> np.ndarray:
    """Values of S pairs (0, 1), (1, 2), … (S − 1, 0) as a symmetric matrix, NaN elsewhere."""
    seeds = len(values)
    table = np.full((seeds, seeds), np.nan)
    for s, value in enumerate(values):
        table[s, (s + 1) % seeds] = table[(s + 1) % seeds, s] = value
    return table


def has_interval(table: np.ndarray) -> bool:
    """Whether a jackknife is possible: each seed has a pair, and one is left without any seed."""
    there = ~np.isnan(table) & ~np.eye(len(table), dtype=bool)
    left = [np.delete(np.delete(there, s, 0), s, 1).any() for s in range(len(table))]
    return bool(there.any(axis=1).all() and all(left))


def _beside_chance(tables: Mapping[str, np.ndarray], share: bool = False) -> dict:
    """A statistic with the chance levels that are known for all its pairs."""
    there = ~np.isnan(tables["value"])
    chance = {
        level: np.where(there, table, np.nan)
        for level, table in tables.items()
        if level != "value" and not np.isnan(table[there]).any()
    }
    node = similarity(tables["value"], chance, share=share)
    if "shuffled" in chance:
        above = jackknife_kappa(tables["value"], chance["shuffled"])
        node["kappa_shuffled"] = interval90(above)
    return node


def _ablation_similarities(found: Ablations, weights: np.ndarray) -> dict:
    """Similarities of ablations over weighted latents, where enough pairs have a value."""
    tree: dict = {}
    for name in ABLATION_SIMILARITIES:
        tables = {
            "value" if kind == "partner" else kind: ring(weighted_means(found[kind][name], weights))
            for kind in COMPARED
        }
        if has_interval(tables["value"]):
            tree[name] = _beside_chance(tables)
    return tree


def _rank_correlations(
    found: Ablations, against: Literal["cosine", "correlation"]
) -> tuple[np.ndarray, np.ndarray]:
    """Rank correlations over latents of similarity and similarity of effects, as rings.

    Returns:
        The correlations for partners, and those for the gauge level.
    """
    partner, gauge = (
        ring(np.array([_spearman(*each) for each in zip(found[against], effects, strict=True)]))
        for effects in (found["partner"]["effect"], found["gauge"]["effect"])
    )
    return partner, gauge


def _rank_values(values: np.ndarray, gauge: np.ndarray) -> dict:
    """A rank correlation, its gauge level, their difference, and its minimum detectable effect."""
    above = jackknife_difference(values, gauge, paired=True)
    node: dict = {
        "value": estimate(values, 3),
        "gauge": estimate(gauge, 3),
        "above_gauge": scalar(above, 3),
    }
    if not np.isnan(above.standard_error):
        sd = above.standard_error * len(values) ** 0.5
        detectable = minimum_detectable_effect(sd, len(values), paired=True)
        # A standard error over five seeds is itself uncertain by a factor of two.
        node["smallest_seen"] = Scalar(detectable, 3, tolerance=max(0.05, detectable))
    return node


def _strata(found: Ablations, strata: tuple[float, ...]) -> dict:
    """Arrays of the figure: similarity of effects by stratum of cosine, with chance levels."""
    place = np.digitize(found["cosine"], strata)
    there = np.isfinite(found["cosine"])
    inside = [there & (place == i) for i in range(len(strata) + 1)]

    def tables(kind: Compared) -> np.ndarray:
        means = [weighted_means(found[kind]["effect"], mask.astype(float)) for mask in inside]
        return np.stack([ring(each) for each in means], axis=-1)

    return _curve({"value": tables("partner"), **{kind: tables(kind) for kind in CHANCE}}, strata)


def _curve(tables: Mapping[str, np.ndarray], edges: tuple[float, ...]) -> dict:
    """Arrays over bins, from [S, S, bins]: midpoints, value with its interval, chance levels."""
    found = [_interval(table) for table in np.moveaxis(tables["value"], -1, 0)]
    columns = {
        "value": [each.mean for each in found],
        "low": [each.low for each in found],
        "high": [each.high for each in found],
    }
    for level in tables.keys() - {"value"}:
        # A level without a value would be drawn where nothing was measured.
        drawn = zip(_means(tables[level]), columns["value"], strict=True)
        columns[level] = [mean if np.isfinite(value) else np.nan for mean, value in drawn]
    width = np.array(columns["high"]) - np.array(columns["low"])
    # Outer bins have few latents, and another machine trains other latents.
    tolerance = max(0.05, float(np.nanmax(np.append(width, 0.0))))
    cosine = Array(_middles(edges), 3)
    arrays = {name: Array(np.array(each), 3, tolerance) for name, each in sorted(columns.items())}
    return {"cosine": cosine, **arrays}


def _middles(edges: tuple[float, ...]) -> np.ndarray:
    """Midpoints of bins. The first bin is as wide as the second; the last one ends at 1."""
    first = edges[0] - (edges[1] - edges[0])
    return np.array([(low + high) / 2 for low, high in pairwise((first, *edges, 1.0))])


def _interval(table: np.ndarray) -> Interval:
    nan = float("nan")
    return jackknife(table) if has_interval(table) else Interval(nan, nan, nan, "", nan, nan, nan)


def _means(table: np.ndarray) -> list[float]:
    """Mean over pairs in each bin of [S, S, bins], NaN if a bin has none."""
    return [
        float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")
        for each in np.moveaxis(table, -1, 0)
    ]


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    there = np.isfinite(first) & np.isfinite(second)
    return float(stats.spearmanr(first[there], second[there]).statistic)
