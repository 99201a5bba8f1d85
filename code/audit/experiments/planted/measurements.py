"""Values of section "Planted truth", one function per part."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray

from audit.analyses.planted.pairs import LEVELS
from audit.analyses.planted.stages import PlantedArmResult
from audit.experiments.common.arrays import with_ends
from audit.experiments.common.summary import estimate, scalar
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.planted.experiment import STRICT, THRESHOLD, PlantedSettings, values
from audit.experiments.planted.prediction import fit_logistic, mean_squared_error, owned_latents
from audit.experiments.planted.recurrence import (
    KINDS,
    Kind,
    Measure,
    PlantedArm,
    Statistic,
)
from audit.pipeline.results import Array, Scalar
from seedstability.stability.chance.closed_form import chance_level
from seedstability.stability.statistics.significance import minimum_detectable_effect


def blocks(config: PlantedSettings, base: PlantedArmResult) -> dict:
    """Reproducibility of latents of blocks, and of the spans of blocks."""
    found = PlantedArm(base)
    p = found.p("blocks")
    strict = found.p("blocks", threshold=STRICT)
    strict_singles = found.p("singles", threshold=STRICT)
    turned = found.p("blocks", "best_turned")
    turned_strict = found.p("blocks", "best_turned", STRICT)
    expected = found.mean("blocks", "expected")
    overlap = {level: found.spans("overlap", level) for level in (*LEVELS, "isotropic")}
    tree = _latents(found, "blocks") | {
        **_difference("reproducibility_difference", found, p, found.p("singles")),
        "strict_difference": found.estimate(strict, minus=strict_singles),
        "expected": found.estimate(expected),
        "more_than_expected": found.estimate(p, minus=expected),
        "turned": found.estimate(turned),
        "turned_strict": found.estimate(turned_strict),
        **_difference("oriented", found, p, turned),
        "spanned": estimate(base["spanned"].mean(axis=1)),
        "spanned_chance": Scalar(config.truth.rank / config.truth.d, 3, tolerance=0.0),
        "overlap": _spans(found, "overlap", 3)
        | {"isotropic": Scalar(overlap["isotropic"](found.seeds), 3, tolerance=0.01)},
        "angle": _spans(found, "angle", 1),
        **_difference("span_excess", found, overlap["value"], overlap["other"]),
        **_difference("span_excess_gauge", found, overlap["value"], overlap["gauge"]),
        **_difference("span_excess_turned", found, overlap["value"], overlap["turned"]),
    }
    return with_platform_tolerance(tree)


def singles(config: PlantedSettings, base: PlantedArmResult) -> dict:
    """Reproducibility of latents of single directions, and recovery of these directions."""
    recovered = base["recovered"]
    live = base["live"].sum(axis=1).mean()
    level = chance_level(max(1, round(live)), config.truth.d, "max_cosine")
    tree = _latents(PlantedArm(base), "singles") | {
        "recovered": estimate(recovered.mean(axis=1), chance=level),
        "recovered_chance": Scalar(level, 3, tolerance=0.01),
        "recovered_strict": estimate((recovered >= STRICT).mean(axis=1), 1, "%"),
    }
    return with_platform_tolerance(tree)


def quality(config: PlantedSettings, base: PlantedArmResult) -> dict:
    """Reconstruction metrics of the base configuration, and the share of latents with a unit."""
    metrics, live = base["quality"], base["live"]

    def over_live(values: ndarray) -> ndarray:
        return np.array([row[alive].mean() for row, alive in zip(values, live, strict=True)])

    tree = {
        "latents": live.shape[1],
        "explained_variance": estimate(metrics["explained_variance"]),
        "l0": estimate(metrics["l0"], 2),
        "dead_fraction": estimate(metrics["dead_fraction"], 1, "%"),
        "owned": estimate(over_live(base["owner"] >= 0), 1, "%"),
        "owned_gauge": estimate((base["share_gauge"] >= 0.5).mean(axis=1), 1, "%"),
        "share": estimate(over_live(base["share"])),
        "share_gauge": estimate(base["share_gauge"].mean(axis=1)),
    }
    return with_platform_tolerance(tree)


def frequency(config: PlantedSettings, base: PlantedArmResult) -> dict:
    """p̂ by class of the unit's frequency, measured and by the covering law."""
    found = PlantedArm(base)
    edges = np.geomspace(*config.truth.frequencies, config.classes + 1)
    classes = np.digitize(base["frequency"], edges[1:-1])
    of_latents = {
        "measured": found.each("best", found.seeds, THRESHOLD),
        "expected": found.each("expected", found.seeds),
        "turned": found.each("best_turned", found.seeds, THRESHOLD),
    }
    tree: dict = {"frequency": Array(np.sqrt(edges[1:] * edges[:-1]), 4)}
    for kind in KINDS:
        units = [
            np.intersect1d(found.units(kind), np.flatnonzero(classes == number))
            for number in range(config.classes)
        ]
        counts = [found.latents_of(some) for some in units]
        columns = {
            **{
                name: [_mean(each[found.owned(some)]) for some in units]
                for name, each in of_latents.items()
            },
            "present": [_mean(each > 0) for each in counts],
            "latents": [_mean(each) for each in counts],
        }
        tree[kind] = {
            name: Array(np.array(column), 3, tolerance=0.1 if name != "latents" else 1.0)
            for name, column in columns.items()
        }
        for place, number in (("rarest", 0), ("commonest", -1)):
            measured, present = columns["measured"][number], columns["present"][number]
            tree[kind][f"{place}_measured"] = Scalar(measured, 2, tolerance=0.1)
            tree[kind][f"{place}_present"] = Scalar(100 * present, 0, "%", tolerance=10)
    return tree


def sweeps(config: PlantedSettings, arms: Mapping[str, Mapping[str, PlantedArmResult]]) -> dict:
    """p̂ and spans at each level of each factor, and as arrays for the figure."""
    tree: dict = {}
    for factor, along in values(config).items():
        tree[factor] = {
            name: {"level": Scalar(value, 2, tolerance=0.0) if factor == "noise" else value}
            | _level(PlantedArm(arm))
            for value, (name, arm) in zip(along, arms[factor].items(), strict=True)
        }
        tree[factor]["figure"] = _columns(along, list(tree[factor].values()))
    return with_platform_tolerance(tree)


def _level(found: PlantedArm) -> dict:
    p, turned = found.p("blocks"), found.p("blocks", "best_turned")
    overlap, unrelated = (found.spans("overlap", level) for level in ("value", "other"))
    return {
        "blocks": found.estimate(p),
        "turned": found.estimate(turned),
        "oriented": found.estimate(p, minus=turned),
        "blocks_gauge": found.estimate(found.p("blocks", "best_gauge")),
        "singles": found.estimate(found.p("singles")),
        "expected": found.estimate(found.mean("blocks", "expected")),
        "overlap": _spans(found, "overlap", 3),
        "excess": found.estimate(overlap, minus=unrelated),
        "latents": Scalar(_mean(found.latents_of(found.units("blocks"))), 1, tolerance=1.0),
        "explained_variance": estimate(found.result["quality"]["explained_variance"]),
    }


def prediction(
    config: PlantedSettings,
    fitted: Mapping[str, PlantedArmResult],
    judged: Mapping[str, PlantedArmResult],
) -> dict:
    """Prediction of p̂ by laws fitted to the latents of another truth, or not fitted at all."""
    given, other_truth = ([PlantedArm(each) for each in arms.values()] for arms in (fitted, judged))
    few = np.array(config.seeds[: config.few])
    known = owned_latents(given, few)
    logistic, mean = fit_logistic(known), float(known.p.mean())
    laws = {
        "mean": lambda held: mean,
        "logistic": logistic.predict,
        "covering": lambda held: held.expected,
    }

    def error(law: str) -> Statistic:
        def of(at: ndarray) -> float:
            held = owned_latents(other_truth, few[at])
            return mean_squared_error(laws[law](held), held)

        return of

    def explained(law: str) -> Statistic:
        return lambda seeds: 1 - error(law)(seeds) / error("mean")(seeds)

    over_seeds = other_truth[0].estimate
    tree: dict = {law: {"error": over_seeds(error(law))} for law in laws}
    for law in ("logistic", "covering"):
        tree[law]["explained"] = over_seeds(explained(law), digits=1, unit="%")
    # Coefficients depend on every latent of every seed; only their sign and size matter.
    for name, value in zip(("intercept", "frequency", "rank"), logistic.coefficients, strict=True):
        tree["logistic"][name] = Scalar(float(value), 2, tolerance=1.0)
    return with_platform_tolerance(tree)


def _latents(found: PlantedArm, kind: Kind) -> dict:
    """Values of latents of one kind of unit."""
    gauge = found.estimate(found.p(kind, "best_gauge"))
    counts = found.latents_of(found.units(kind))
    return {
        "reproducibility": found.estimate(found.p(kind), chance=gauge.value),
        "reproducibility_gauge": gauge,
        "reproducibility_strict": found.estimate(found.p(kind, threshold=STRICT)),
        "cosine": found.estimate(found.mean(kind, "best")),
        "cosine_gauge": found.estimate(found.mean(kind, "best_gauge")),
        "nearest": found.estimate(found.mean(kind, "nearest")),
        "nearest_gauge": found.estimate(found.mean(kind, "nearest_gauge")),
        "latents": estimate(counts.mean(axis=0), 2),
        "present": estimate((counts > 0).mean(axis=0), 1, "%"),
    }


def _spans(found: PlantedArm, measure: Measure, digits: int) -> dict[str, Scalar]:
    return {level: found.estimate(found.spans(measure, level), digits=digits) for level in LEVELS}


def _mean(of_some: ndarray) -> float:
    """Mean; 0 of a class without latents or units."""
    return float(of_some.mean()) if of_some.size else 0.0


def _difference(name: str, found: PlantedArm, first: Statistic, second: Statistic) -> dict:
    """Difference of two statistics, and its minimum detectable effect."""
    interval, seeds = found.interval(first, minus=second), len(found.seeds)
    if np.isnan(interval.standard_error):
        smallest = Scalar(abs(interval.high - interval.low), 3)
    else:
        sd = interval.standard_error * seeds**0.5
        effect = minimum_detectable_effect(sd, seeds, paired=True)
        # A standard error over few seeds is itself uncertain by a third or so.
        smallest = Scalar(effect, 3, tolerance=effect + 1e-3)
    return {name: scalar(interval), f"{name}_smallest": smallest}


def _columns(along: Sequence[float], levels: Sequence[Mapping]) -> dict[str, Array]:
    """Arrays along a factor, for the figure."""
    curves = {
        **{
            name: [level[name] for level in levels]
            for name in ("blocks", "turned", "blocks_gauge", "singles", "expected")
        },
        **{f"overlap_{name}": [level["overlap"][name] for level in levels] for name in LEVELS},
    }
    drawn = {"level": Array(np.array(along, float), 3)}
    for name, scalars in curves.items():
        for part, array in with_ends(scalars, 3, 0.1, loose_ends=True).items():
            drawn[name if part == "value" else f"{name}_{part}"] = array
    return drawn
