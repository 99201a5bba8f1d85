"""Values of section "A known symmetry", one function per part."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from audit.analyses.symmetry.stages import Invariance, Kind, SymmetrySearch
from audit.analyses.symmetry.translations import LINES
from audit.experiments.common.arms import NoSettings
from audit.experiments.common.summary import interval90, scalar
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.jackknife import Interval, jackknife
from seedstability.stability.statistics.strata import minimum_detectable_mean, stratified_mean

Way = Literal["plain", "global_shift", "latent_shift", "unit_shift", "random_shift"]
Statistic = Literal["entropy", "nearly", "common", "certified", "moved", "covered"]
Measure = Literal[Way, Statistic]
WAYS: tuple[Way, ...] = get_args(Way)
FIGURE_WAYS: tuple[Way, ...] = (
    "random_shift",
    "plain",
    "global_shift",
    "latent_shift",
    "unit_shift",
)
"""Ways in the figure, from the fewest granted transformations to the most."""
NULLS: tuple[Kind, ...] = ("gauge", "phase")
_SHIFTS: dict[Statistic, tuple[int, str]] = {
    "entropy": (3, ""),
    "nearly": (4, ""),
    "common": (1, "%"),
    "certified": (1, "%"),
    "moved": (1, "%"),
    "covered": (1, "%"),
}
"""Decimals and unit of each statistic of the shifts."""
_SEARCHED: tuple[Kind, ...] = ("value", "gauge")
_PLANTED: tuple[Way, ...] = ("plain", "global_shift", "latent_shift")
Searches = Mapping[str, SymmetrySearch]
"""By subject."""
Terms = Mapping[tuple[Kind, Way], float]
"""Signs of the terms of a sum."""
_LEVEL_TOLERANCE = 0.1
"""Platform tolerance of a drawn level, or of a value over a few latents."""
_PAIR_TOLERANCE = 0.5
"""Platform tolerance of a share over a handful of pairs."""
_DETECTABLE_TOLERANCE = 6.0
"""Platform tolerance of a minimum detectable effect, as a factor. The standard error over a ring of
five seeds is uncertain: another instruction set has given six times as much."""


def pooled(config: NoSettings, searches: Searches) -> dict:
    """Values of one architecture, averaged over subjects with equal weight."""
    these = list(searches.values())
    return search_values(these) | _shift_statistics(these)


def subjects(config: NoSettings, arms: Mapping[str, Searches]) -> dict:
    """Values of each architecture on each subject."""
    return {
        arm: {subject: search_values([search]) for subject, search in searches.items()}
        for arm, searches in arms.items()
    }


def figure(config: NoSettings, arms: Mapping[str, Searches]) -> dict:
    """Arrays over `FIGURE_WAYS` for each architecture, averaged over subjects."""
    return {arm: _figure(list(searches.values())) for arm, searches in arms.items()}


def _figure(searches: Sequence[SymmetrySearch]) -> dict:
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


def example(config: NoSettings, search: SymmetrySearch) -> dict:
    """One latent's activation map, its best partner without a shift, and after a shift."""
    shown = search["example"]
    # Another processor trains other latents, so any map and any correlation is within tolerance.
    return {
        "latent": Array(shown["latent"], 2, tolerance=2.0),
        "plain": Array(shown["plain"], 2, tolerance=2.0),
        "shifted": Array(shown["shifted"], 2, tolerance=2.0),
        "plain_correlation": Scalar(shown["plain_correlation"], 2, tolerance=1.0),
        "shifted_correlation": Scalar(shown["shifted_correlation"], 2, tolerance=1.0),
    }


def invariance(config: NoSettings, subjects: Mapping[str, Invariance]) -> dict:
    """Translation-invariant share of the activations' kernel, by subject and over all."""
    tree = {name: _invariance([each]) for name, each in subjects.items()}
    return tree | {"all": _invariance(list(subjects.values()))}


def search_values(searches: Sequence[SymmetrySearch]) -> dict:
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


def _shift_statistics(searches: Sequence[SymmetrySearch]) -> dict:
    """Distribution and certainty of the shifts found, and the planted control."""
    tree: dict = {}
    tree["shifts"] = {
        name: {kind: _shift_statistic(searches, kind, name, *how) for kind in _SEARCHED}
        for name, how in _SHIFTS.items()
    }
    tree["kept"] = {
        line: {
            kind: Scalar(_kept(searches, kind, at), 3, tolerance=_LEVEL_TOLERANCE)
            for kind in _SEARCHED
        }
        for at, line in enumerate(LINES)
    }
    tree["planted"] = {
        way: Scalar(_mean(searches, "planted", way), 3, tolerance=_LEVEL_TOLERANCE)
        for way in _PLANTED
    }
    return tree


def _way(searches: Sequence[SymmetrySearch], way: Way) -> dict:
    node = {"value": scalar(_interval(searches, {("value", way): 1.0}))}
    for null in NULLS:
        node[null] = Scalar(_mean(searches, null, way), 3, tolerance=_LEVEL_TOLERANCE)
        terms: Terms = {("value", way): 1.0, (null, way): -1.0}
        node[f"excess_{null}"] = scalar(_interval(searches, terms))
    return node


def _jump(searches: Sequence[SymmetrySearch], way: Way, baseline: Way) -> dict:
    """Difference between two ways, and its excess over the same difference in each null."""
    own: Terms = {("value", way): 1.0, ("value", baseline): -1.0}
    node: dict = {"raw": scalar(_interval(searches, own), 4)}
    for null in NULLS:
        terms: Terms = {**own, (null, way): -1.0, (null, baseline): 1.0}
        interval = _interval(searches, terms)
        smallest = minimum_detectable_mean(*_strata(searches, terms))
        node[null] = {
            "value": scalar(interval, 4),
            "ninety": interval90(interval),
            "smallest_seen": Scalar(smallest, 4, tolerance=_DETECTABLE_TOLERANCE * smallest + 1e-3),
        }
    return node


def _shift_statistic(
    searches: Sequence[SymmetrySearch],
    kind: Kind,
    name: Statistic,
    digits: int,
    unit: str,
) -> Scalar:
    """A statistic of the shifts that a search found."""
    scale = 100.0 if unit else 1.0
    value = scale * _mean(searches, kind, name)
    wide = _PAIR_TOLERANCE if name == "moved" else _LEVEL_TOLERANCE
    return Scalar(value, digits, unit, tolerance=scale * wide)


def _mean(searches: Sequence[SymmetrySearch], kind: Kind, name: Measure) -> float:
    return float(np.mean([each[kind][name].mean() for each in searches]))


def _kept(searches: Sequence[SymmetrySearch], kind: Kind, line: int) -> float:
    return float(np.mean([each[kind]["lines"][:, line].mean() for each in searches]))


def _interval(searches: Sequence[SymmetrySearch], terms: Terms) -> Interval:
    """Interval over seeds of a signed sum of terms (kind, way)."""
    groups, seeds = _strata(searches, terms)
    return groups[0] if len(groups) == 1 else stratified_mean(groups, seeds)


def _strata(searches: Sequence[SymmetrySearch], terms: Terms) -> tuple[list[Interval], list[int]]:
    tables = [
        _table(
            each,
            sum(
                (sign * each[kind][way] for (kind, way), sign in terms.items()),
                np.zeros(len(each["pairs"])),
            ),
        )
        for each in searches
    ]
    return [jackknife(table) for table in tables], [len(table) for table in tables]


def _table(search: SymmetrySearch, values: Float[ndarray, " pairs"]) -> Float[ndarray, "S S"]:
    """Values of pairs as a symmetric matrix, NaN where no pair was searched."""
    size = search["seeds"]
    table = np.full((size, size), np.nan)
    s, t = search["pairs"].T
    table[s, t] = table[t, s] = values
    return table


def _invariance(found: Sequence[Invariance]) -> dict:
    def mean(of: Literal["share", "relabelled", "permuted"]) -> float:
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
