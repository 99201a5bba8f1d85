"""Values of section "Same data, different features", one function per part."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from audit.analyses.alignment import Alignment
from audit.analyses.modes import KINDS, Modes
from audit.experiments.alignment.curves import curve_over_frequency, curves, histogram
from audit.experiments.alignment.experiment import PLACES, AlignmentSettings
from audit.experiments.alignment.latents import (
    THRESHOLD,
    AlignedArm,
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
from seedstability.similarity.comparison import Chance, Scope, chance_levels, level_of_all
from seedstability.stability.chance.closed_form import corrected_for_chance
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic
from seedstability.stability.statistics.power import minimum_detectable_effect

Arms = Mapping[str, AlignedArm]
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


def sizes(config: AlignmentSettings, arms: Arms) -> dict:
    """Matching, sharing and sharing with a third seed over sizes (C41, C43, C45)."""
    tree: dict = {}
    for place, n in zip(PLACES, config.sizes, strict=True):
        latents = Latents(arms[place])
        firings = config.tokens * config.epochs * config.k / n
        tree[place] = {
            "latents": n,
            "seeds": len(latents.live),
            # Arithmetic, so the same on any machine.
            "firings": Scalar(firings, 0, tolerance=0.0),
            **_arm_values(arms[place]),
            "where": _where(latents),
            "where_gauge": _where_by_chance(Latents(arms[place], "gauge_partners")),
            "overlap": _overlap(latents, only_live=False),
            "overlap_live": _overlap(latents, only_live=True),
        }
    comparisons = [arms[place]["comparison"] for place in PLACES]
    return tree | {
        "trend": {name: _trend(config.sizes, comparisons, name, "full") for name in TRENDS},
        "trend_live": {name: _trend(config.sizes, comparisons, name, "live") for name in TRENDS},
        "figure": curves(config.sizes, [tree[place] for place in PLACES]),
    }


def modes(config: AlignmentSettings, tested: Mapping[str, Modes]) -> dict:
    """Dip test and two-component mixture of matched cosines of live latents (C42)."""
    tree: dict = {}
    for place, found in tested.items():
        node: dict = {
            # One or two steps of the grid, since few samples are drawn at each distance.
            "smallest_separation": Scalar(found["smallest_separation"], 1, tolerance=0.3)
        }
        for kind in KINDS:
            tables = found[kind]
            node[kind] = {
                name: estimate(tables[name], digits, unit)
                for name, (digits, unit) in MODES.items()
                if name in tables
            }
            # Near the middle of the null distribution p changes fast with the dip.
            node[kind]["dip_p"] = Scalar(_mean(tables["dip_p"]), 3, tolerance=0.4)
        gauge = found["gauge"]
        node["gauge"] = {
            "dip_excess": Scalar(_mean(gauge["dip_excess"]), 3, tolerance=0.2),
            # Over one or a few scrambled pairs: its size is not informative, and its sign hardly.
            "bic_gain": Scalar(_mean(gauge["bic_gain"]), 0, tolerance=1000.0),
        }
        tree[place] = node
    return tree | {"histogram": {place: histogram(tested[place]["histogram"]) for place in PLACES}}


def frequency(config: AlignmentSettings, arms: Arms) -> dict:
    """Alignment and sharing over firing rate, separated from updates (C44, C49)."""
    tree: dict = {}
    latents = {name: Latents(arm) for name, arm in arms.items()}
    for name, arm in arms.items():
        comparison = arm["comparison"]
        chance = rank_correlation_by_chance(Latents(arm, "gauge_partners"))
        unshared = frequent_and_unshared(latents[name])
        tree[name] = {
            "rank_correlation": scalar(rank_correlation(latents[name]), 3),
            # One dictionary of each pair is scrambled, with a few hundred latents.
            "rank_correlation_gauge": Scalar(chance, 3, tolerance=0.1),
            "unshared": {part: estimate(table, 1, "%") for part, table in unshared.items()},
            "top_less_all": estimate(unshared["top"] - unshared["all"], 1, "%"),
            "shared": estimate(comparison["full"]["shared"], 1, "%"),
            "quality": quality(arm["evaluation"]),
            "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
            "curve": curve_over_frequency(latents[name]),
        }
    equal = at_equal(latents["long"], latents["short"], times=float(config.short))
    return tree | {
        "updates_effect": scalar(equal["frequency"], 3),
        "frequency_effect": scalar(equal["updates"], 3),
        "more_tokens": {
            name: _kappa_difference(arms["long"], arms["short"], name, "full")
            for name in ("shared", "matched_mean")
        },
    }


def architectures(config: AlignmentSettings, arms: Arms) -> dict:
    """Four architectures at equal L0 and at equal explained variance (C48)."""
    pairings = {
        "batch_topk": ("batch_topk", "topk"),
        "jumprelu_equal_l0": ("jumprelu", "topk"),
        "jumprelu_equal_variance": ("jumprelu_as_good", "topk"),
        "relu_equal_variance": ("relu", "topk"),
        "relu_equal_l0": ("relu", "topk_as_relu"),
    }
    scopes: tuple[Scope, ...] = ("full", "live", "span")
    return {
        **{name: _arm_values(arm) for name, arm in arms.items()},
        "less": {
            name: {
                scope: {
                    statistic: _kappa_difference(arms[first], arms[second], statistic, scope)
                    for statistic in ("shared", "agreeing", "matched_mean")
                }
                for scope in scopes
            }
            for name, (first, second) in pairings.items()
        },
    }


def hub(config: AlignmentSettings, arms: Arms | None = None) -> dict:
    """The report's model, if the profile has it (C40, C41)."""
    arms = arms or {}
    tree: dict = {"models": len(arms)}
    for name, arm in arms.items():
        latents = Latents(arm)
        tree[name] = _arm_values(arm) | {
            "where": _where(latents),
            "overlap": _overlap(latents, only_live=False),
        }
    return tree


def _arm_values(arm: AlignedArm) -> dict:
    comparison = arm["comparison"]
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
        "quality": quality(arm["evaluation"]),
        "cosine_with_start": estimate(comparison["cosine_with_start"], 3),
    }


def _similarities(comparison: Alignment, scope: Scope) -> dict:
    nodes = similarities(comparison, scope, NAMES, some_seeds=True)
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


def _trend(
    numbers: tuple[int, ...], comparisons: Sequence[Alignment], name: str, scope: Scope
) -> dict:
    """Slope of κ over log2 of the number of latents.

    Once over the sizes that have all seeds, and once over all sizes with the seeds that all have.
    """
    there = [each["seeds"] for each in comparisons]
    every, common = reduce(np.union1d, there), reduce(np.intersect1d, there)
    whole = [p for p, seeds in enumerate(there) if np.isin(every, seeds).all()]

    def slope(seeds: np.ndarray, places: Sequence[int]) -> float:
        kappas = [_kappa(comparisons[p], name, scope, seeds) for p in places]
        return float(np.polyfit(np.log2([numbers[p] for p in places]), kappas, 1)[0])

    found = jackknife_statistic(lambda at: slope(every[at], whole), len(every), group=2)
    everywhere = jackknife_statistic(
        lambda at: slope(common[at], range(len(numbers))), len(common), group=2
    )
    return {
        "slope": scalar(found, 4),
        "sizes": len(whole),
        "slope_all": scalar(everywhere, 4),
        **_minimum_detectable_effect(found, len(every)),
    }


def _kappa(comparison: Alignment, name: str, scope: Scope, seeds: np.ndarray) -> float:
    at = np.flatnonzero(np.isin(comparison["seeds"], seeds))
    values, level = comparison[scope][name], _gauge_level(comparison, name, scope)
    return corrected_for_chance(_mean(values[np.ix_(at, at)]), _mean(level))


def _gauge_level(comparison: Alignment, name: str, scope: Scope) -> Chance:
    # A gauge scramble keeps the principal components, so the span has the level of the whole.
    levels = chance_levels(comparison, name, scope="live" if scope == "live" else "full")
    return level_of_all(levels["gauge"])


def _kappa_difference(first: AlignedArm, second: AlignedArm, name: str, scope: Scope) -> dict:
    """First minus second arm in κ against the gauge level, with the same seeds and batches."""
    one, other = first["comparison"], second["comparison"]
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


def _mean(values: Chance) -> float:
    return float(np.nanmean(values))
