"""Values of section "Same data, different features", one function per part."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from audit.experiments.alignment.curves import curve_over_frequency, curves, histogram
from audit.experiments.alignment.latents import (
    THRESHOLD,
    Latents,
    at_equal,
    frequent_and_unshared,
    rank_correlation,
    rank_correlation_by_chance,
    third_seed,
)
from audit.experiments.common.summary import (
    difference,
    estimate,
    quality,
    scalar,
    similarities,
)
from audit.pipeline.results import Scalar
from seedstability.similarity.comparison import Scope, chance_levels
from seedstability.stability.chance.closed_form import corrected_for_chance
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic
from seedstability.stability.statistics.power import minimum_detectable_effect

PLACES = ("smallest", "small", "large", "largest")
NAMES = ("matched_mean", "matched_median", "shared", "shared_decoder_only", "agreeing")
TRENDS = ("shared", "shared_decoder_only", "agreeing", "matched_mean")
MODES = {
    "dip_excess": (3, ""),
    "mean_low": (3, ""),
    "mean_high": (3, ""),
    "share_high": (1, "%"),
    "valley": (2, ""),
    "bic_gain": (0, ""),
}


def sizes(config, **inputs: Any) -> dict:
    """Matching, sharing and sharing with a third seed over sizes (C41, C43, C45)."""
    tree: dict = {}
    for place, n in zip(PLACES, config.sizes, strict=True):
        evaluation, comparison = _arm(inputs, place)
        firings = config.tokens * config.epochs * config.k / n
        tree[place] = {
            "latents": n,
            "seeds": len(evaluation["live"]),
            # Arithmetic, so the same on any machine.
            "firings": Scalar(firings, 0, tolerance=0.0),
            **_arm_values(evaluation, comparison),
            "where": _where(Latents(evaluation, comparison)),
            "where_gauge": _where_by_chance(Latents(evaluation, comparison, "gauge_partners")),
            "overlap": _overlap(Latents(evaluation, comparison), only_live=False),
            "overlap_live": _overlap(Latents(evaluation, comparison), only_live=True),
        }
    comparisons = [_arm(inputs, place)[1] for place in PLACES]
    return tree | {
        "trend": {name: _trend(config.sizes, comparisons, name, "full") for name in TRENDS},
        "trend_live": {name: _trend(config.sizes, comparisons, name, "live") for name in TRENDS},
        "figure": curves(config.sizes, [tree[place] for place in PLACES]),
    }


def modes(config, **tested: dict) -> dict:
    """Dip test and two-component mixture of matched cosines of live latents (C42)."""
    tree: dict = {}
    for place in (*PLACES, "long"):
        node: dict = {
            # One or two steps of the grid, since few samples are drawn at each distance.
            "smallest_separation": Scalar(tested[place]["smallest_separation"], 1, tolerance=0.3)
        }
        for kind in ("decoder", "encoder", "mean"):
            found = tested[place][kind]
            node[kind] = {
                name: estimate(found[name], digits, unit)
                for name, (digits, unit) in MODES.items()
                if name in found
            }
            # Near the middle of the null distribution p changes fast with the dip.
            mean_p = float(np.nanmean(found["dip_p"]))
            node[kind]["dip_p"] = Scalar(mean_p, 3, tolerance=0.4)
        gauge = tested[place]["gauge"]
        node["gauge"] = {
            "dip_excess": Scalar(_mean(gauge["dip_excess"]), 3, tolerance=0.2),
            # Over one or a few scrambled pairs: its size is not informative, and its sign hardly.
            "bic_gain": Scalar(_mean(gauge["bic_gain"]), 0, tolerance=1000.0),
        }
        tree[place] = node
    return tree | {"histogram": {place: histogram(tested[place]["histogram"]) for place in PLACES}}


def frequency(config, **inputs: Any) -> dict:
    """Alignment and sharing over firing rate, separated from updates (C44, C49)."""
    tree: dict = {}
    arms = {}
    for name in ("long", "short", "wide"):
        evaluation, comparison = _arm(inputs, name)
        arms[name] = Latents(evaluation, comparison)
        chance = rank_correlation_by_chance(Latents(evaluation, comparison, "gauge_partners"))
        unshared = frequent_and_unshared(arms[name])
        tree[name] = {
            "rank_correlation": scalar(rank_correlation(arms[name]), 3),
            # One dictionary of each pair is scrambled, with a few hundred latents.
            "rank_correlation_gauge": Scalar(chance, 3, tolerance=0.1),
            "unshared": {part: estimate(table, 1, "%") for part, table in unshared.items()},
            "top_less_all": estimate(unshared["top"] - unshared["all"], 1, "%"),
            "shared": estimate(comparison["full"]["shared"], 1, "%"),
            "quality": quality(evaluation),
            "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
            "curve": curve_over_frequency(arms[name]),
        }
    times = float(config.short)
    equal = at_equal(arms["long"], arms["short"], times)
    return tree | {
        "updates_effect": scalar(equal["frequency"], 3),
        "frequency_effect": scalar(equal["updates"], 3),
        "more_tokens": {
            name: _kappa_difference(inputs, "long", "short", name, "full")
            for name in ("shared", "matched_mean")
        },
    }


def architectures(config, **inputs: Any) -> dict:
    """Four architectures at equal L0 and at equal explained variance (C48)."""
    pairings = {
        "batch_topk": ("batch_topk", "topk"),
        "jumprelu_equal_l0": ("jumprelu", "topk"),
        "jumprelu_equal_variance": ("jumprelu_as_good", "topk"),
        "relu_equal_variance": ("relu", "topk"),
        "relu_equal_l0": ("relu", "topk_as_relu"),
    }
    arms = ("topk", "topk_as_relu", "batch_topk", "relu", "jumprelu", "jumprelu_as_good")
    return {
        **{name: _arm_values(*_arm(inputs, name)) for name in arms},
        "less": {
            name: {
                scope: {
                    statistic: _kappa_difference(inputs, first, second, statistic, scope)
                    for statistic in ("shared", "agreeing", "matched_mean")
                }
                for scope in ("full", "live", "span")
            }
            for name, (first, second) in pairings.items()
        },
    }


def hub(config, **inputs: Any) -> dict:
    """The report's model, if the profile has it (C40, C41)."""
    names = [key.partition("__")[0] for key in inputs if key.endswith("__comparison")]
    tree: dict = {"models": len(names)}
    for name in names:
        evaluation, comparison = _arm(inputs, name)
        latents = Latents(evaluation, comparison)
        tree[name] = _arm_values(evaluation, comparison) | {
            "where": _where(latents),
            "overlap": _overlap(latents, only_live=False),
        }
    return tree


def _arm(inputs: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """Evaluation and comparison of an arm; a gauge level of some pairs stands for all."""
    evaluation, comparison = inputs[f"{name}__evaluation"], inputs[f"{name}__comparison"]
    gauge = {
        table: {name: _level(values) for name, values in comparison[table].items()}
        for table in ("gauge", "gauge_live")
    }
    return evaluation, comparison | gauge


def _level(matrix: np.ndarray) -> np.ndarray | float:
    some_seed_without = np.isnan(matrix).all(axis=1).any()
    return float(np.nanmean(matrix)) if some_seed_without else matrix


def _arm_values(evaluation: Any, comparison: Any) -> dict:
    full, span = comparison["full"], comparison["span"]
    return {
        **_similarities(comparison, "full"),
        "live": _similarities(comparison, "live"),
        "encoder": {
            "matched_mean": estimate(full["encoder_matched_mean"], 4),
            "gauge": Scalar(_mean(comparison["gauge"]["encoder_matched_mean"]), 4, tolerance=0.01),
            "span_matched_mean": estimate(span["encoder_matched_mean"], 4),
            "span_agreeing": estimate(span["agreeing"], 2, "%"),
            "span_shared": estimate(span["shared"], 2, "%"),
        },
        "rank": int(comparison["rank"]),
        "quality": quality(evaluation),
        "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
    }


def _similarities(comparison: Any, scope: Scope) -> dict:
    nodes = similarities(comparison, scope, NAMES)
    for node in nodes.values():
        level = node["gauge"]
        # One scramble of one or two pairs, which depends on the dictionaries and on signs drawn.
        least = 1.0 if level.unit == "%" else 0.01
        node["gauge"] = replace(level, tolerance=max(least, level.allowed_difference))
    return nodes


def _where(latents: Latents) -> dict:
    """Mean cosine of latents on which both assignments agree, of the others, and the gap."""
    agree, other, out = (latents.over_pairs(of) for of in _means(latents))
    return {
        "agreeing": estimate(agree, 3),
        "disagreeing": estimate(other, 3),
        "gap": estimate(agree - other, 3),
        "left_out": estimate(out, 2, "%"),
    }


def _where_by_chance(gauge: Latents) -> dict:
    agree, other, out = (_mean(gauge.over_pairs(of)) for of in _means(gauge))
    return {
        "agreeing": Scalar(agree, 3, tolerance=0.03),
        "disagreeing": Scalar(other, 3, tolerance=0.03),
        "left_out": Scalar(100 * out, 2, "%", tolerance=2.0),
    }


def _means(latents: Latents) -> tuple:
    def mean(s: int, t: int, which: bool) -> float:
        chosen = latents.cosine[s, t][latents.agreeing[s, t] == which]
        return float(chosen.mean()) if len(chosen) else float("nan")

    def left_out(s: int, t: int) -> float:
        chosen = latents.cosine[s, t][latents.agreeing[s, t] == 0]
        return float((chosen <= THRESHOLD).mean()) if len(chosen) else float("nan")

    return (lambda s, t: mean(s, t, True)), (lambda s, t: mean(s, t, False)), left_out


def _overlap(latents: Latents, only_live: bool) -> dict:
    found = third_seed(latents, only_live)
    return {name: scalar(interval, 2, "%") for name, interval in found.items()}


def _trend(numbers: tuple[int, ...], comparisons: list[dict], name: str, scope: Scope) -> dict:
    """Slope of κ over log2 of the number of latents, over the sizes with all seeds."""
    most = max(len(each["full"][name]) for each in comparisons)
    whole = [p for p, each in enumerate(comparisons) if len(each["full"][name]) == most]

    def slope(seeds: np.ndarray, places: list[int]) -> float:
        kappas = [_kappa(comparisons[p], name, scope, seeds) for p in places]
        return float(np.polyfit(np.log2([numbers[p] for p in places]), kappas, 1)[0])

    found = jackknife_statistic(lambda seeds: slope(seeds, whole), most, group=2)
    few = min(len(each["full"][name]) for each in comparisons)
    everywhere = jackknife_statistic(
        lambda seeds: slope(seeds, list(range(len(numbers)))), few, group=2
    )
    return {
        "slope": scalar(found, 4),
        "sizes": len(whole),
        "slope_all": scalar(everywhere, 4),
        **_minimum_detectable_effect(found, most),
    }


def _kappa(comparison: Any, name: str, scope: Scope, seeds: np.ndarray) -> float:
    values, level = comparison[scope][name], _gauge_level(comparison, name, scope)
    return corrected_for_chance(_mean(values[np.ix_(seeds, seeds)]), _mean(level))


def _gauge_level(comparison: Any, name: str, scope: Scope = "full") -> np.ndarray | float:
    # A gauge scramble keeps the principal components, so the span has the level of the whole.
    return chance_levels(comparison, name, scope="live" if scope == "live" else "full")["gauge"]


def _kappa_difference(inputs: Mapping, first: str, second: str, name: str, scope: Scope) -> dict:
    """First minus second arm in κ against the gauge level, with the same seeds and batches."""
    one, other = (_arm(inputs, arm)[1] for arm in (first, second))
    node = difference(
        one[scope][name],
        other[scope][name],
        True,
        _gauge_level(one, name, scope),
        _gauge_level(other, name, scope),
    )
    node.pop("equivalent")  # The ledger decides that.
    if "smallest_seen" in node:
        node["smallest_seen"] = _with_tolerance(node["smallest_seen"])
    return node


def _with_tolerance(smallest: Scalar) -> Scalar:
    """Give a minimum detectable effect a wide tolerance: its standard error is uncertain."""
    return replace(smallest, tolerance=abs(smallest.value) + 1e-3)


def _minimum_detectable_effect(found: Interval, n_seeds: int) -> dict:
    if np.isnan(found.standard_error):
        return {}
    sd = found.standard_error * n_seeds**0.5
    return {
        "smallest_seen": _with_tolerance(
            Scalar(minimum_detectable_effect(sd, n_seeds, paired=True), 4)
        )
    }


def _mean(values: np.ndarray | float) -> float:
    return float(np.nanmean(values))
