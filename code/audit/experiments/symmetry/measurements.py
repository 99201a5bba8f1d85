"""Values of section "A known symmetry", one function per part."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from audit.analyses.symmetry.translations import LINES
from audit.experiments.common.summary import interval90, scalar
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.jackknife import Interval, jackknife
from seedstability.stability.statistics.strata import minimum_detectable_mean, stratified_mean

WAYS = ("plain", "global_shift", "latent_shift", "unit_shift", "random_shift")
FIGURE_WAYS = ("random_shift", "plain", "global_shift", "latent_shift", "unit_shift")
"""Ways in the figure, from the fewest granted transformations to the most."""
NULLS = ("gauge", "phase")
_LEVEL_TOLERANCE = 0.1
"""Platform tolerance of a drawn level, or of a value over a few latents."""
_PAIR_TOLERANCE = 0.5
"""Platform tolerance of a share over a handful of pairs."""
_DETECTABLE_TOLERANCE = 6.0
"""Platform tolerance of a minimum detectable effect, as a factor. The standard error over a ring of
five seeds is uncertain: another instruction set has given six times as much."""


def pooled(config, **searches: Mapping) -> dict:
    """Values of one architecture, averaged over subjects with equal weight."""
    these = [searches[name] for name in sorted(searches)]
    return search_values(these) | _shift_statistics(these)


def subjects(config, **searches: Mapping) -> dict:
    """Values of each architecture on each subject."""
    tree: dict = {}
    for name, search in searches.items():
        arm, _, subject = name.partition("__")
        tree.setdefault(arm, {})[subject] = search_values([search])
    return tree


def figure(config, **searches: Mapping) -> dict:
    """Arrays over `FIGURE_WAYS` for each architecture, averaged over subjects."""
    arms: dict[str, list[Mapping]] = {}
    for name in sorted(searches):
        arms.setdefault(name.partition("__")[0], []).append(searches[name])
    return {arm: _figure(found) for arm, found in arms.items()}


def _figure(searches: Sequence[Mapping]) -> dict:
    intervals = [_interval(searches, {("value", way): 1.0}) for way in FIGURE_WAYS]
    columns = {
        name: [getattr(each, of) for each in intervals]
        for name, of in (("value", "mean"), ("low", "low"), ("high", "high"))
    }
    columns |= {null: [_mean(searches, null, way) for way in FIGURE_WAYS] for null in NULLS}
    return {
        name: Array(np.array(column), 3, tolerance=_LEVEL_TOLERANCE)
        for name, column in columns.items()
    }


def example(config, search: Mapping) -> dict:
    """One latent's activation map, its best partner without a shift, and after a shift."""
    shown = search["example"]
    # Another processor trains other latents, so any map and any correlation is within tolerance.
    return {
        **{name: Array(shown[name], 2, tolerance=2.0) for name in ("latent", "plain", "shifted")},
        **{
            name: Scalar(float(shown[name]), 2, tolerance=1.0)
            for name in ("plain_correlation", "shifted_correlation")
        },
    }


def invariance(config, **found: Mapping) -> dict:
    """Translation-invariant share of the activations' kernel, by subject and over all."""
    tree = {name: _invariance([each]) for name, each in found.items()}
    return tree | {"all": _invariance([found[name] for name in sorted(found)])}


def search_values(searches: Sequence[Mapping]) -> dict:
    """Values of some searches of one architecture.

    Each way of `WAYS` has its `value`, the levels `gauge` and `phase`, and the differences
    `excess_gauge` and `excess_phase`. `jump` is latent shift minus plain, `global_jump` one shift
    for all minus plain, `unit_jump` with minus without multiplications; `position` is plain minus
    random shift, the effect of a map's position. Each has `raw`, and its excess over each null.
    """
    tree: dict = {way: _way(searches, way) for way in WAYS}
    tree["global_jump"] = _jump(searches, "global_shift", "plain")
    tree["jump"] = _jump(searches, "latent_shift", "plain")
    tree["unit_jump"] = _jump(searches, "unit_shift", "latent_shift")
    tree["position"] = _jump(searches, "plain", "random_shift")
    return with_platform_tolerance(tree)


def _shift_statistics(searches: Sequence[Mapping]) -> dict:
    """Distribution and certainty of the shifts found, and the planted control."""
    tree: dict = {}
    tree["shifts"] = {
        name: {kind: _shift_statistic(searches, kind, name, digits) for kind in ("value", "gauge")}
        for name, digits in (("entropy", 3), ("nearly", 4))
    } | {
        name: {
            kind: _shift_statistic(searches, kind, name, 1, unit="%") for kind in ("value", "gauge")
        }
        for name in ("common", "certified", "moved", "covered")
    }
    tree["kept"] = {
        line: {
            kind: _shift_statistic(searches, kind, "lines", 3, at) for kind in ("value", "gauge")
        }
        for at, line in enumerate(LINES)
    }
    tree["planted"] = {
        way: Scalar(_mean(searches, "planted", way), 3, tolerance=_LEVEL_TOLERANCE)
        for way in ("plain", "global_shift", "latent_shift")
    }
    return tree


def _way(searches: Sequence[Mapping], way: str) -> dict:
    node = {"value": scalar(_interval(searches, {("value", way): 1.0}))}
    for null in NULLS:
        node[null] = Scalar(_mean(searches, null, way), 3, tolerance=_LEVEL_TOLERANCE)
        node[f"excess_{null}"] = scalar(
            _interval(searches, {("value", way): 1.0, (null, way): -1.0})
        )
    return node


def _jump(searches: Sequence[Mapping], way: str, baseline: str) -> dict:
    """Difference between two ways, and its excess over the same difference in each null."""
    own = {("value", way): 1.0, ("value", baseline): -1.0}
    node: dict = {"raw": scalar(_interval(searches, own), 4)}
    for null in NULLS:
        terms = own | {(null, way): -1.0, (null, baseline): 1.0}
        interval = _interval(searches, terms)
        smallest = minimum_detectable_mean(*_strata(searches, terms))
        node[null] = {
            "value": scalar(interval, 4),
            "ninety": interval90(interval),
            "smallest_seen": Scalar(smallest, 4, tolerance=_DETECTABLE_TOLERANCE * smallest + 1e-3),
        }
    return node


def _shift_statistic(
    searches: Sequence[Mapping],
    kind: str,
    name: str,
    digits: int,
    at: int | None = None,
    unit: str = "",
) -> Scalar:
    """A statistic of the shifts that a search found."""
    scale = 100.0 if unit else 1.0
    value = scale * _mean(searches, kind, name, at)
    wide = _PAIR_TOLERANCE if name == "moved" else _LEVEL_TOLERANCE
    return Scalar(value, digits, unit, tolerance=scale * wide)


def _mean(searches: Sequence[Mapping], kind: str, name: str, at: int | None = None) -> float:
    values = [np.asarray(each[kind][name]) for each in searches]
    return float(np.mean([(v if at is None else v[:, at]).mean() for v in values]))


def _interval(searches: Sequence[Mapping], terms: Mapping[tuple[str, str], float]) -> Interval:
    """Interval over seeds of a signed sum of terms (kind, way)."""
    groups, seeds = _strata(searches, terms)
    return groups[0] if len(groups) == 1 else stratified_mean(groups, seeds)


def _strata(
    searches: Sequence[Mapping], terms: Mapping[tuple[str, str], float]
) -> tuple[list[Interval], list[int]]:
    tables = [
        _table(each, sum(sign * each[kind][way] for (kind, way), sign in terms.items()))
        for each in searches
    ]
    return [jackknife(table) for table in tables], [len(table) for table in tables]


def _table(search: Mapping, values: Float[ndarray, " pairs"]) -> Float[ndarray, "S S"]:
    """Values of pairs as a symmetric matrix, NaN where no pair was searched."""
    size = int(search["seeds"])
    table = np.full((size, size), np.nan)
    s, t = np.asarray(search["pairs"]).T
    table[s, t] = table[t, s] = values
    return table


def _invariance(found: Sequence[Mapping]) -> dict:
    def mean(of: str) -> float:
        return float(np.mean([np.mean(each[of]) for each in found]))

    return {
        "share": Scalar(100.0 * mean("share"), 1, "%", chance=100.0 * mean("relabelled")),
        "relabelled": Scalar(100.0 * mean("relabelled"), 1, "%", tolerance=1.0),
        "permuted": Scalar(100.0 * mean("permuted"), 1, "%", tolerance=1.0),
        "variance": {
            name: Scalar(100.0 * float(np.mean([each["variance"][name] for each in found])), 1, "%")
            for name in (*LINES, "rest")
        },
    }
