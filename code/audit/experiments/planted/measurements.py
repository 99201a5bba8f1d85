"""Values of section "Planted truth", one function per part."""

from collections.abc import Mapping

import numpy as np

from audit.experiments.common.summary import estimate, scalar
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.planted.prediction import fit_logistic, mean_squared_error, owned_latents
from audit.experiments.planted.recurrence import KINDS, Kind, PlantedArm
from audit.pipeline.results import Array, Scalar
from seedstability.stability.chance.closed_form import chance_level
from seedstability.stability.statistics.jackknife import Interval
from seedstability.stability.statistics.significance import minimum_detectable_effect

THRESHOLD, STRICT = 0.7, 0.9
_LEVELS = ("value", "turned", "gauge", "other")


def settings(config) -> dict:
    """Settings that the text mentions."""
    truth, song = config.truth, config.song
    low, high = truth.frequencies
    spaced = [np.geomspace(low, high, count) for count in (truth.singles, truth.blocks)]
    return {
        "d": truth.d,
        "singles": truth.singles,
        "blocks": truth.blocks,
        "rank": truth.rank,
        "dimensions": truth.singles + truth.blocks * truth.rank,
        "frequency_low": Scalar(100 * low, 1, "%", tolerance=0.0),
        "frequency_high": Scalar(100 * high, 0, "%", tolerance=0.0),
        "active": Scalar(float(np.concatenate(spaced).sum()), 2),
        "noise": Scalar(truth.noise, 2, tolerance=0.0),
        "samples": truth.samples,
        "seeds": len(config.seeds),
        "few": config.few,
        "k": config.k,
        "epochs": config.epochs,
        "threshold": Scalar(THRESHOLD, 1, tolerance=0.0),
        "strict": Scalar(STRICT, 1, tolerance=0.0),
        "song_latents": song.n_latents,
        "song_d": config.song_samples.d,
        "song_active": config.song_samples.active,
        "song_double": 2 * song.k,
        "song_samples": config.song_samples.samples,
        "song_steps": song.steps,
        "song_seeds": len(song.seeds),
    }


def blocks(config, base: dict) -> dict:
    """Reproducibility of latents of blocks, and of the spans of blocks."""
    found = PlantedArm(base)
    difference = found.interval(
        lambda s: (
            found.mean("best", "blocks", s, THRESHOLD) - found.mean("best", "singles", s, THRESHOLD)
        )
    )
    tree = _latents(found, "blocks")
    tree |= {
        "reproducibility_difference": scalar(difference),
        "reproducibility_difference_smallest": _minimum_detectable_effect(
            difference, found.n_seeds
        ),
        "strict_difference": scalar(
            found.interval(
                lambda s: (
                    found.mean("best", "blocks", s, STRICT)
                    - found.mean("best", "singles", s, STRICT)
                )
            )
        ),
        "expected": scalar(_mean(found, "expected", "blocks")),
        "more_than_expected": scalar(found.interval(lambda s: _above_expected(found, s))),
        "turned": scalar(_reproducibility(found, "blocks", "best_turned")),
        "turned_strict": scalar(_reproducibility(found, "blocks", "best_turned", STRICT)),
        "oriented": scalar(_oriented(found)),
        "oriented_smallest": _minimum_detectable_effect(_oriented(found), found.n_seeds),
        "spanned": estimate(base["spanned"].mean(axis=1)),
        "spanned_chance": Scalar(config.truth.rank / config.truth.d, 3, tolerance=0.0),
        "overlap": _spans(found, "overlap", 3)
        | {
            "isotropic": Scalar(
                found.spans("overlap", "isotropic", np.arange(found.n_seeds)), 3, tolerance=0.01
            )
        },
        "angle": _spans(found, "angle", 1),
    }
    names = {"other": "span_excess", "gauge": "span_excess_gauge", "turned": "span_excess_turned"}
    for level, name in names.items():
        excess = _span_excess(found, level)
        tree[name] = scalar(excess)
        tree[f"{name}_smallest"] = _minimum_detectable_effect(excess, found.n_seeds)
    return with_platform_tolerance(tree)


def singles(config, base: dict) -> dict:
    """Reproducibility of latents of single directions, and recovery of these directions."""
    found = PlantedArm(base)
    recovered = base["recovered"]
    live = base["live"].sum(axis=1).mean()
    level = chance_level(max(1, round(live)), config.truth.d, "max_cosine")
    tree = _latents(found, "singles") | {
        "recovered": estimate(recovered.mean(axis=1), chance=level),
        "recovered_chance": Scalar(level, 3, tolerance=0.01),
        "recovered_strict": estimate((recovered >= STRICT).mean(axis=1), 1, "%"),
    }
    return with_platform_tolerance(tree)


def quality(config, base: dict) -> dict:
    """Reconstruction metrics of the base configuration, and the share of latents with a unit."""
    metrics, live = base["quality"], base["live"]
    owned = np.array(
        [(row[alive] >= 0).mean() for row, alive in zip(base["owner"], live, strict=True)]
    )
    tree = {
        "latents": live.shape[1],
        "explained_variance": estimate(metrics["explained_variance"]),
        "l0": estimate(metrics["l0"], 2),
        "dead_fraction": estimate(metrics["dead_fraction"], 1, "%"),
        "owned": estimate(owned, 1, "%"),
        "owned_gauge": estimate((base["share_gauge"] >= 0.5).mean(axis=1), 1, "%"),
        "share": estimate(
            np.array([row[a].mean() for row, a in zip(base["share"], live, strict=True)])
        ),
        "share_gauge": estimate(base["share_gauge"].mean(axis=1)),
    }
    return with_platform_tolerance(tree)


def frequency(config, base: dict) -> dict:
    """p̂ by class of the unit's frequency, measured and by the covering law."""
    found, all_seeds = PlantedArm(base), np.arange(len(base["owner"]))
    low, high = config.truth.frequencies
    edges = np.geomspace(low, high, config.classes + 1)
    classes = np.digitize(base["frequency"], edges[1:-1])
    p = found.each("best", all_seeds, THRESHOLD)
    turned = found.each("best_turned", all_seeds, THRESHOLD)
    expected = found.each("expected", all_seeds)
    tree: dict = {"frequency": Array(np.sqrt(edges[1:] * edges[:-1]), 4)}
    for kind in KINDS:
        rows = []
        for number in range(config.classes):
            units = np.intersect1d(found.units(kind), np.flatnonzero(classes == number))
            of_class = np.isin(base["owner"], units)
            counts = np.array([found.latents_of(unit) for unit in units])
            # A class without latents, or without units, has only zeros.
            here = [
                each[of_class].mean() if of_class.any() else 0.0 for each in (p, expected, turned)
            ]
            there = [(counts > 0).mean(), counts.mean()] if len(units) else [0.0, 0.0]
            rows.append([*here, *there])
        columns = np.array(rows).T
        names = ("measured", "expected", "turned", "present", "latents")
        tree[kind] = {
            name: Array(column, 3, tolerance=0.1 if name != "latents" else 1.0)
            for name, column in zip(names, columns, strict=True)
        }
        for place, number in (("rarest", 0), ("commonest", -1)):
            tree[kind][f"{place}_measured"] = Scalar(columns[0, number], 2, tolerance=0.1)
            tree[kind][f"{place}_present"] = Scalar(100 * columns[3, number], 0, "%", tolerance=10)
    return tree


def sweeps(config, **arms: dict) -> dict:
    """p̂ and spans at each level of each factor, and as arrays for the figure."""
    values = {
        "rank": config.ranks,
        "noise": config.noises,
        "samples": config.samples,
        "steps": config.lengths,
        "latents": config.widths,
    }
    tree: dict = {}
    for name, result in arms.items():
        factor, level = name.split("__")
        found = PlantedArm(result)
        value = values[factor][len(tree.get(factor, {}))]
        tree.setdefault(factor, {})[level] = {
            "level": Scalar(value, 2, tolerance=0.0) if factor == "noise" else value,
            "blocks": scalar(_reproducibility(found, "blocks")),
            "turned": scalar(_reproducibility(found, "blocks", "best_turned")),
            "oriented": scalar(_oriented(found)),
            "blocks_gauge": scalar(_reproducibility(found, "blocks", "best_gauge")),
            "singles": scalar(_reproducibility(found, "singles")),
            "expected": scalar(_mean(found, "expected", "blocks")),
            "overlap": _spans(found, "overlap", 3),
            "excess": scalar(_span_excess(found, "other")),
            "latents": Scalar(_per_block(found), 1, tolerance=1.0),
            "explained_variance": estimate(result["quality"]["explained_variance"]),
        }
    for factor, levels in tree.items():
        levels["figure"] = _columns(values[factor], list(levels.values()))
    return with_platform_tolerance(tree)


def prediction(config, **arms: dict) -> dict:
    """Prediction of p̂ by laws fitted to the latents of another truth, or not fitted at all."""
    given = [PlantedArm(result) for name, result in arms.items() if name.startswith("fitted")]
    other_truth = [PlantedArm(result) for name, result in arms.items() if name.startswith("judged")]
    all_seeds = np.arange(config.few)
    fitted = owned_latents(given, all_seeds, THRESHOLD)
    law, mean = fit_logistic(fitted), float(fitted.p.mean())
    table = {
        "mean": lambda held: mean,
        "logistic": law.predict,
        "covering": lambda held: held.expected,
    }

    def over_seeds(name: str, against: str | None = None) -> Interval:
        def of(seeds: np.ndarray) -> float:
            held = owned_latents(other_truth, seeds, THRESHOLD)
            own = mean_squared_error(table[name](held), held)
            return (
                own if against is None else 1 - own / mean_squared_error(table[against](held), held)
            )

        return other_truth[0].interval(of)

    tree: dict = {
        name: {"error": scalar(over_seeds(name))}
        | ({} if name == "mean" else {"explained": scalar(over_seeds(name, "mean"), 1, "%")})
        for name in table
    }
    # Coefficients depend on every latent of every seed; only their sign and size matter.
    for name, value in zip(("intercept", "frequency", "rank"), law.coefficients, strict=True):
        tree["logistic"][name] = Scalar(float(value), 2, tolerance=1.0)
    return with_platform_tolerance(tree)


def _latents(found: PlantedArm, kind: Kind) -> dict:
    """Values of latents of one kind of unit, singles or blocks."""
    gauge = _reproducibility(found, kind, "best_gauge")
    counts = np.array([found.latents_of(unit) for unit in found.units(kind)])
    return {
        "reproducibility": scalar(_reproducibility(found, kind), chance=gauge.mean),
        "reproducibility_gauge": scalar(gauge),
        "reproducibility_strict": scalar(_reproducibility(found, kind, threshold=STRICT)),
        "cosine": scalar(_mean(found, "best", kind)),
        "cosine_gauge": scalar(_mean(found, "best_gauge", kind)),
        "nearest": scalar(_mean(found, "nearest", kind)),
        "nearest_gauge": scalar(_mean(found, "nearest_gauge", kind)),
        "latents": estimate(counts.mean(axis=0), 2),
        "present": estimate((counts > 0).mean(axis=0), 1, "%"),
    }


def _reproducibility(
    found: PlantedArm, kind: Kind, table: str = "best", threshold: float = THRESHOLD
) -> Interval:
    return found.interval(lambda s: found.mean(table, kind, s, threshold))


def _spans(found: PlantedArm, measure: str, digits: int) -> dict:
    def mean(level: str) -> Interval:
        return found.interval(lambda s: found.spans(measure, level, s))

    return {level: scalar(mean(level), digits) for level in _LEVELS}


def _span_excess(found: PlantedArm, level: str) -> Interval:
    """Overlap of spans minus that of a chance level."""
    return found.interval(
        lambda s: found.spans("overlap", "value", s) - found.spans("overlap", level, s)
    )


def _mean(found: PlantedArm, table: str, kind: Kind) -> Interval:
    return found.interval(lambda s: found.mean(table, kind, s))


def _oriented(found: PlantedArm) -> Interval:
    """p̂ of latents of blocks minus p̂ after a rotation within each block."""
    return found.interval(
        lambda s: (
            found.mean("best", "blocks", s, THRESHOLD)
            - found.mean("best_turned", "blocks", s, THRESHOLD)
        )
    )


def _above_expected(found: PlantedArm, seeds: np.ndarray) -> float:
    return found.mean("best", "blocks", seeds, THRESHOLD) - found.mean("expected", "blocks", seeds)


def _per_block(found: PlantedArm) -> float:
    return float(np.mean([found.latents_of(unit) for unit in found.units("blocks")]))


def _minimum_detectable_effect(interval: Interval, seeds: int) -> Scalar:
    """Minimum detectable effect of an interval."""
    if np.isnan(interval.standard_error):
        return Scalar(abs(interval.high - interval.low), 3)
    value = minimum_detectable_effect(interval.standard_error * seeds**0.5, seeds, paired=True)
    # A standard error over few seeds is itself uncertain by a third or so.
    return Scalar(value, 3, tolerance=value + 1e-3)


def _columns(values, levels: list[Mapping]) -> dict:
    """Arrays along a factor, for the figure."""
    drawn = {"level": Array(np.array(values, float), 3)}
    for name in ("blocks", "turned", "blocks_gauge", "singles", "expected"):
        drawn |= _with_ends(name, [level[name] for level in levels])
    for level_name in _LEVELS:
        of = [level["overlap"][level_name] for level in levels]
        drawn |= _with_ends(f"overlap_{level_name}", of)
    return drawn


def _with_ends(name: str, scalars: list[Scalar]) -> dict:
    ends = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    columns = {
        key: np.array([getattr(each, part) for each in scalars]) for key, part in ends.items()
    }
    # An end of an interval over few seeds varies by as much as the interval is wide.
    wide = max(0.1, float((columns[f"{name}_high"] - columns[f"{name}_low"]).max()))
    return {
        key: Array(column, 3, tolerance=0.1 if key == name else wide)
        for key, column in columns.items()
    }
