"""Values of section "Unstable latents" on spans and clusters, one function per part."""

from collections.abc import Mapping

import numpy as np

from audit.analyses.unstable.results import UnstableClusters, UnstableSpans
from audit.analyses.unstable.spans import LEVELS
from audit.experiments.common.summary import difference, estimate, scalar
from audit.experiments.common.tolerance import FINE, with_platform_tolerance
from audit.experiments.subspaces.experiment import SubspacesMeasurementConfig
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.jackknife import jackknife_kappa, jackknife_statistic

COMPARED_LEVELS = ("random", "covariance", "stable", "components", "gauge", "anybody")
"""Levels with which the overlap of unstable spans is compared."""
MECHANISMS = ("partners", "leftover")
"""Possible causes of the overlap. These two were added after the overlaps had been seen."""
EIGHT = 8
"""The dimension at which reports compare spans, in the sweep of every profile."""


def spans(config: SubspacesMeasurementConfig, arms: Mapping[str, UnstableSpans]) -> dict:
    """Overlap between the spans of two seeds' unstable latents, beside its levels."""
    tree: dict = {name: _spans(each) for name, each in arms.items()}
    tree["eight_dimensions"] = EIGHT
    tree["share"] = Scalar(100 * config.share, 0, "%", tolerance=0.0)
    return with_platform_tolerance(tree, FINE)


def clusters(config: SubspacesMeasurementConfig, arms: Mapping[str, UnstableClusters]) -> dict:
    """Overlap between spans of clusters of unstable latents in different seeds."""
    tree: dict = {
        name: _clusters(each["unstable"])
        | {"control": _clusters(each["stable"]), "groups": each["kind"]}
        for name, each in arms.items()
    }
    tree["size"] = config.cluster_size
    return with_platform_tolerance(tree, FINE)


def _spans(found: Mapping) -> dict:
    """Overlaps at the main dimension, at eight dimensions, and over the sweep."""
    dimensions = found["dimensions"]
    eight = int(np.flatnonzero(dimensions == EIGHT)[-1])
    tree: dict = _at_dimension(found, 0)
    tree |= {
        "eight": _at_dimension(found, eight),
        "main_dimension": Scalar(float(dimensions[0]), 0, tolerance=3.0),
        "dimension": _dimensions(found, "participation", 1),
        "ninety": _dimensions(found, "ninety", 1),
        "groups": found["kind"],
        "n_stable": estimate(found["n_stable"].astype(float), 0),
        "n_unstable": estimate(found["n_unstable"].astype(float), 0),
        "figure": _curves(found),
    }
    return tree


def _dimensions(found: Mapping, what: str, digits: int) -> dict[str, Scalar]:
    """Effective dimension of each group's latents, and of the data."""
    data = float(found[f"data_{what}"])
    return {
        kind: estimate(values.astype(float), digits) for kind, values in found[what].items()
    } | {"data": Scalar(data, digits, tolerance=1.0)}


def _at_dimension(found: Mapping, place: int) -> dict:
    """Overlap at one dimension, each level, and overlap minus level."""
    own = found["found"][place]
    tables = {level: found[level][place] for level in LEVELS}
    tables["random"] = np.full_like(own, found["random"][place])
    tree: dict = {
        "overlap": estimate(own, 3, chance=float(found["random"][place])),
        "level": {level: estimate(tables[level], 3) for level in (*COMPARED_LEVELS, *MECHANISMS)},
        "among_stable": estimate(tables["among_stable"], 3),
    }
    tree |= _span_and_member_kappas(own, tables["gauge"], found["member"], found["member_gauge"])
    for level in (*COMPARED_LEVELS, *MECHANISMS):
        node = difference(own, tables[level], paired=True)
        tree[f"excess_{level}"] = node["value"]
        tree[f"smallest_{level}"] = _minimum_detectable_effect(node)
    return tree


def _span_and_member_kappas(
    span: np.ndarray, span_gauge: np.ndarray, member: np.ndarray, member_gauge: np.ndarray
) -> dict:
    """κ of spans and of single latents against the gauge level; both are squared cosines."""
    return {
        "kappa": scalar(jackknife_kappa(span, span_gauge), 3),
        "kappa_member": scalar(jackknife_kappa(member, member_gauge), 3),
        "kappa_difference": difference(span, member, True, span_gauge, member_gauge)["value"],
        "member_square": estimate(member, 3),
        "member_square_gauge": estimate(member_gauge, 3),
    }


def _minimum_detectable_effect(node: Mapping) -> Scalar:
    """Minimum detectable effect of a difference; 0 below five seeds."""
    smallest = node.get("smallest_seen", Scalar(0.0, 4))
    # A standard error over few seeds is itself uncertain by a third or so.
    return Scalar(smallest.value, 4, tolerance=smallest.value + 1e-3)


def _curves(found: Mapping) -> dict:
    """Arrays over the sweep of dimensions; the main dimension comes first and is left out."""
    sweep = slice(1, None)
    pairs = ~np.eye(found["found"].shape[1], dtype=bool)
    intervals = [estimate(table, 3) for table in found["found"][sweep]]
    curves = {level: found[level][sweep][:, pairs].mean(axis=1) for level in LEVELS[1:]}
    return {
        "dimension": Array(found["dimensions"][sweep], 0),
        "value": Array(np.array([each.value for each in intervals]), 3, tolerance=0.05),
        "low": Array(np.array([each.low for each in intervals]), 3, tolerance=0.05),
        "high": Array(np.array([each.high for each in intervals]), 3, tolerance=0.05),
        "random": Array(found["random"][sweep], 3),
        **{level: Array(curve, 3, tolerance=0.05) for level, curve in curves.items()},
    }


def _clusters(found: Mapping) -> dict:
    """Overlap of clusters' spans with the best one of another group, and of their latents."""
    against = {level: difference(found["found"], found[level], True) for level in _NULLS}
    member = difference(found["member"], found["member_gauge"], True)
    return {
        "overlap": estimate(found["found"], 3),
        "level": {level: estimate(found[level], 3) for level in _NULLS},
        "span_excess": scalar(_above_higher_level(found), 4),
        **{f"span_excess_{level}": node["value"] for level, node in against.items()},
        "smallest_seen": _minimum_detectable_effect(against["gauge"]),
        **_span_and_member_kappas(
            found["found"], found["gauge"], found["square"], found["square_gauge"]
        ),
        "member_cosine": estimate(found["member"], 3),
        "member_cosine_gauge": estimate(found["member_gauge"], 3),
        "member_excess": member["value"],
        "member_matched": estimate(found["member_matched"], 3),
        "between": estimate(found["between"], 3),
        "dimension": estimate(found["dimension"], 1),
        "members": estimate(found["members"], 1),
        "clusters": estimate(found["clusters"].astype(float), 1),
        "covered": estimate(found["covered"], 0, "%"),
    }


_NULLS = ("gauge", "covariance")


def _above_higher_level(found: Mapping):
    """Overlap minus the higher of the two levels."""

    def statistic(groups: np.ndarray) -> float:
        pairs = ~np.eye(len(groups), dtype=bool)
        some = np.ix_(groups, groups)
        mean = {name: found[name][some][pairs].mean() for name in ("found", *_NULLS)}
        return float(mean["found"] - max(mean[level] for level in _NULLS))

    return jackknife_statistic(statistic, len(found["found"]), group=2)
