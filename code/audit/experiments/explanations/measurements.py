"""Values of the section on explanations, one function per part.

A detection score is a balanced accuracy, so an uninformed guess has one half for any latent. The
score of a meaningless direction is that of random directions that fire as often.
"""

from typing import Literal

import numpy as np
from numpy import ndarray

from audit.evaluation.explanation.stages import AlignedPartners, Explained
from audit.experiments.common.summary import difference, interval90
from audit.experiments.explanations.experiment import ExplanationsMeasurementConfig
from audit.experiments.explanations.latents import (
    ExplainedLatents,
    SeedPairs,
    above_median,
    binned_means,
    explained_latents,
    lowest_tenth,
    masked_mean,
    partial_spearman,
    per_seed,
    spearman,
    stable_order,
)
from audit.pipeline.results import RANGE, WIDTHS_OF_A_RANGE, Array, Scalar
from seedstability.stability.statistics.jackknife import Interval, jackknife, jackknife_kappa

THIRDS = ("low", "middle", "high")
"""Thirds of the latents by alignment, for the table of rules."""
PLACES = {"worst": 0.05, "poor": 0.35, "good": 0.65, "best": 0.95}
"""Quantiles of the score within each third at which a rule is printed."""
_EDGES = np.linspace(0.4, 1.0, 13)


def scores(config: ExplanationsMeasurementConfig, explained: Explained) -> dict:
    """Detection scores of rules (C46), beside chance and controls."""
    drawn = explained_latents(explained)
    mean, random = (
        per_seed(drawn, lambda d: d.score.mean()),
        per_seed(drawn, lambda d: np.nanmean(d.random)),
    )
    return {
        "mean": _estimate(mean, chance=float(random.mean())),
        "quartile_low": _estimate(per_seed(drawn, lambda d: np.quantile(d.score, 0.25))),
        "median": _estimate(per_seed(drawn, lambda d: np.median(d.score))),
        "quartile_high": _estimate(per_seed(drawn, lambda d: np.quantile(d.score, 0.75))),
        "random": _estimate(random),
        "kappa_random": _with_platform_tolerance(interval90(jackknife_kappa(mean, random), 3)),
        "gain": _effect(mean, random),
        "swapped": _estimate(per_seed(drawn, lambda d: d.swapped.mean())),
        "strong": _strong(drawn),
        "control_tokens": _control(explained, "tokens"),
        "control_pairs": _control(explained, "pairs"),
        "predicates": _estimate(per_seed(drawn, lambda d: d.predicates.mean()), 1),
        "no_rule": _estimate(100 * per_seed(drawn, lambda d: (d.predicates == 0).mean()), 1, "%"),
        "explained": sum(len(d.latent) for d in drawn),
        **_unscored(config, explained),
    }


def alignment(
    config: ExplanationsMeasurementConfig, explained: Explained, aligned: AlignedPartners
) -> dict:
    """Detection scores over alignment with another seed (C46)."""
    pairs = SeedPairs(explained_latents(explained), aligned["alignment"], config.threshold)
    tables = {
        "shared": pairs.table(lambda p: masked_mean(p.of.score, p.shared)),
        "shared_random": pairs.table(lambda p: masked_mean(p.of.random, p.shared)),
        "unshared": pairs.table(lambda p: masked_mean(p.of.score, ~p.shared)),
        "unshared_random": pairs.table(lambda p: masked_mean(p.of.random, ~p.shared)),
    }
    unshared, chance = tables["unshared"], tables["unshared_random"]
    return {
        "spearman": _correlation(pairs.table(lambda p: spearman(p.of.score, p.cosine))),
        "spearman_given_rate": _correlation(
            pairs.table(lambda p: partial_spearman(p.of.score, p.cosine, p.of.rate))
        ),
        "strong": _strong_by_alignment(pairs),
        "alignment_with_rate": _correlation(pairs.table(lambda p: spearman(p.cosine, p.of.rate))),
        "shared_share": _estimate(100 * pairs.table(lambda p: p.shared.mean()), 1, "%"),
        **{name: _estimate(table) for name, table in tables.items()},
        "unshared_kappa": _with_platform_tolerance(
            interval90(jackknife_kappa(unshared, chance), 3)
        ),
        "gap": _effect(tables["shared"], unshared),
        "above_median": _above_median(pairs),
    }


def frequency(config: ExplanationsMeasurementConfig, explained: Explained) -> dict:
    """Detection scores over firing rate (C49), beside random directions that fire as often."""
    drawn = explained_latents(explained)
    latents = per_seed(drawn, lambda d: spearman(d.score, d.rate))
    random = per_seed(drawn, lambda d: spearman(d.random, d.rate))
    ratio = per_seed(drawn, lambda d: lowest_tenth(d.score, d.rate))
    ratio_random = per_seed(drawn, lambda d: lowest_tenth(d.random, d.rate))
    return {
        "spearman": _correlation(latents),
        "spearman_random": _correlation(random),
        "spearman_gain": _effect(latents, random, 2),
        "lowest_tenth": _estimate(ratio, 2, chance=float(ratio_random.mean())),
        "lowest_tenth_random": _estimate(ratio_random, 2),
        "lowest_tenth_gain": _effect(ratio, ratio_random, 2),
    }


def rules(
    config: ExplanationsMeasurementConfig, explained: Explained, aligned: AlignedPartners
) -> dict:
    """A dozen rules of the first seed, chosen by alignment with the second and by score alone.

    Another machine trains other latents. Tolerances of single latents are therefore the whole
    range, and the text of a rule is a quotation.
    """
    first = explained_latents(explained)[0]
    texts = explained["rules"]["seed0"].split("\n")
    cosine = aligned["alignment"][0, 1, first.latent]
    tree: dict = {}
    for third, places in zip(THIRDS, np.array_split(stable_order(cosine), 3), strict=True):
        ranked = places[stable_order(first.score[places])]
        tree[third] = {
            name: _printed_rule(first, cosine, texts, ranked[int(share * len(ranked))])
            for name, share in PLACES.items()
        }
    return tree


def figure(
    config: ExplanationsMeasurementConfig, explained: Explained, aligned: AlignedPartners
) -> dict:
    """Arrays of the figure: scores over alignment and over firing rate, and their distribution."""
    drawn = explained_latents(explained)
    bins = min([config.bins, *(len(d.latent) for d in drawn)])
    rows = SeedPairs(drawn, aligned["alignment"], config.threshold).rows()
    by_alignment = np.array(
        [
            np.mean(
                [binned_means(p.cosine, [p.cosine, p.of.score, p.of.strong], bins) for p in row],
                axis=0,
            )
            for row in rows
        ]
    )
    columns = ("score", "random", "strong", "strong_random")
    by_rate = np.array(
        [
            binned_means(d.rate, [np.log10(d.rate), *(getattr(d, c) for c in columns)], bins)
            for d in drawn
        ]
    )
    shares = {
        name: _curve(np.array([_histogram(getattr(d, name)) for d in drawn]))
        for name in ("score", "random", "swapped")
    }
    return {
        "alignment": {
            "alignment": _middle(by_alignment[:, 0]),
            "score": _curve(by_alignment[:, 1]),
            "strong": _curve(by_alignment[:, 2]),
        },
        "rate": {
            "log_rate": _middle(by_rate[:, 0]),
            **{column: _curve(by_rate[:, place]) for place, column in enumerate(columns, 1)},
        },
        "share": {"edges": Array(_EDGES, 2), **shares},
    }


def _strong(drawn: list[ExplainedLatents]) -> dict:
    """Scores on the windows of the strongest activations, as a rule is learned from such windows.

    They are not part of the report's measure. They were added after the scores above had turned out
    to equal those of random directions, to test whether rules fail on weak activations only.
    """
    latents = per_seed(drawn, lambda d: d.strong.mean())
    random = per_seed(drawn, lambda d: np.nanmean(d.strong_random))
    return {
        "mean": _estimate(latents, chance=float(random.mean())),
        "random": _estimate(random),
        "gain": _effect(latents, random),
        "with_rate": _correlation(per_seed(drawn, lambda d: spearman(d.strong, d.rate))),
        "with_rate_random": _correlation(
            per_seed(drawn, lambda d: spearman(d.strong_random, d.rate))
        ),
    }


def _strong_by_alignment(pairs: SeedPairs) -> dict:
    """Scores on the strongest windows over alignment."""
    shared = pairs.table(lambda p: masked_mean(p.of.strong, p.shared))
    unshared = pairs.table(lambda p: masked_mean(p.of.strong, ~p.shared))
    return {
        "spearman": _correlation(pairs.table(lambda p: spearman(p.of.strong, p.cosine))),
        "spearman_given_rate": _correlation(
            pairs.table(lambda p: partial_spearman(p.of.strong, p.cosine, p.of.rate))
        ),
        "shared": _estimate(shared),
        "unshared": _estimate(unshared),
        "gap": _effect(shared, unshared),
    }


def _above_median(pairs: SeedPairs) -> dict:
    """Share of unshared latents that score above the median of all, with its chance level.

    The chance level is the share of random directions that fire as often as these latents.
    """
    latents = 100 * pairs.table(
        lambda p: masked_mean(above_median(p.of.score, p.of.score), ~p.shared)
    )
    random = 100 * pairs.table(
        lambda p: masked_mean(above_median(p.of.random, p.of.score), ~p.shared)
    )
    return {
        "unshared": _estimate(latents, 1, "%", chance=float(np.nanmean(random))),
        "random": _estimate(random, 1, "%"),
        "gain": _effect(latents, random, 1, "%"),
    }


def _estimate(values: ndarray, digits: int = 3, unit: str = "", **more) -> Scalar:
    interval: Interval = jackknife(values)
    ends = (interval.low, interval.high, interval.label)
    return _with_platform_tolerance(Scalar(interval.mean, digits, unit, *ends, **more))


def _with_platform_tolerance(value: Scalar) -> Scalar:
    """Give a value a platform tolerance as wide as its interval.

    Another processor's rounding leads to other dictionaries, in effect to other seeds. Means over
    five seeds of two such runs differ by √2 standard errors, and the whole width of an interval is
    5.6 of these. The width is itself an estimate, so the tolerance is at least two printed units.
    """
    if value.low is None or value.high is None:
        return value
    widths = WIDTHS_OF_A_RANGE if value.interval.startswith(RANGE) else 1.0
    tolerance = max(widths * (value.high - value.low), 2 * 10.0**-value.digits)
    return Scalar(**{**vars(value), "tolerance": tolerance})


def _correlation(values: ndarray) -> dict:
    """A correlation, whose chance level is 0, with its minimum detectable effect."""
    nothing = np.where(np.isnan(values), np.nan, 0.0)
    return {"value": _estimate(values, 2, chance=0.0)} | _minimum_detectable_effect(
        values, nothing, 2
    )


def _effect(first: ndarray, second: ndarray, digits: int = 3, unit: str = "") -> dict:
    """Difference of paired values, with its minimum detectable effect."""
    return {"value": _estimate(first - second, digits, unit)} | _minimum_detectable_effect(
        first, second, digits, unit
    )


def _minimum_detectable_effect(
    first: ndarray, second: ndarray, digits: int, unit: str = ""
) -> dict:
    node = difference(first, second, paired=True)
    if "smallest_seen" not in node:
        return {}
    smallest = node["smallest_seen"].value
    # A standard deviation estimated from five seeds may be three times another such estimate.
    tolerance = max(2 * smallest, 2 * 10.0**-digits)
    return {"smallest_seen": Scalar(smallest, digits, unit, tolerance=tolerance)}


def _control(explained: Explained, kind: Literal["tokens", "pairs"]) -> Scalar:
    """Mean score of planted latents, for which text and rules are the same on any machine."""
    return Scalar(float(explained["control"][kind].mean()), 3, tolerance=5e-3)


def _unscored(config: ExplanationsMeasurementConfig, explained: Explained) -> dict:
    """Shares of live latents too rare or too common to be scored, and of dead latents."""
    live = explained["live"]
    return {
        "rare": _estimate(100 * explained["rare"] / live, 1, "%"),
        "common": _estimate(100 * explained["common"] / live, 1, "%"),
        "dead": _estimate(100 * (1 - live / config.n_latents), 1, "%"),
    }


def _printed_rule(drawn: ExplainedLatents, cosine: ndarray, texts: list[str], place: int) -> dict:
    return {
        "quoted": texts[place],
        "score": Scalar(float(drawn.score[place]), 2, tolerance=1.0),
        "alignment": Scalar(float(cosine[place]), 2, tolerance=2.0),
        "rate": Scalar(100 * float(drawn.rate[place]), 2, "%", tolerance=100.0),
    }


def _histogram(values: ndarray) -> ndarray:
    inside = np.clip(values[~np.isnan(values)], _EDGES[0], _EDGES[-1])
    return np.histogram(inside, _EDGES)[0] / len(inside)


def _curve(values: ndarray) -> dict:
    """Mean and interval over seeds of [S, points], as arrays."""
    found = [jackknife(column) for column in values.T]
    widest = max(each.high - each.low for each in found)
    widths = WIDTHS_OF_A_RANGE if found[0].label.startswith(RANGE) else 1.0
    tolerance = max(0.02, widths * widest)
    columns = {
        "value": [each.mean for each in found],
        "low": [each.low for each in found],
        "high": [each.high for each in found],
    }
    # The ends of an interval vary with its mean, and by as much again.
    return {
        name: Array(np.array(column), 3, tolerance if name == "value" else 2 * tolerance)
        for name, column in columns.items()
    }


def _middle(values: ndarray) -> Array:
    """Positions of the bins, mean over seeds."""
    return Array(values.mean(axis=0), 3, tolerance=0.1)
