"""Values of section "Unstable latents" on camps: recurrence, best cosines and fitted laws."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from audit.evaluation.groups.results import Camps
from audit.experiments.common.summary import estimate, scalar
from audit.experiments.common.tolerance import FINE, with_platform_tolerance
from audit.experiments.seeds.recurrence import RecurrenceTable
from audit.experiments.subspaces.experiment import SubspacesMeasurementConfig
from audit.pipeline.results import Array, Scalar
from seedstability.stability.chance.closed_form import chance_reproducibility
from seedstability.stability.groups import fit_beta_law, two_groups, u_shape
from seedstability.stability.statistics.beta_binomial import STABLE, UNSTABLE
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic
from seedstability.stability.statistics.modality import detectable_separation, dip_excess

BINS = 40
"""Bins of the histogram of mean best cosines."""


def camps(config: SubspacesMeasurementConfig, arms: Mapping[str, Camps]) -> dict:
    """Test whether recurrence and cosines of latents fall into two camps."""
    return with_platform_tolerance(
        {name: camps_of(each, config) for name, each in arms.items()}, FINE
    )


def name_of(threshold: float) -> str:
    """Name of a threshold in addresses: `07` for 0.7."""
    return f"{round(10 * threshold):02d}"


def camps_of(found: Camps, config: SubspacesMeasurementConfig) -> dict:
    """All values on the camps of one arm."""
    thresholds = config.camps.thresholds
    live = found["live"]
    groups = two_groups(found["best"], live, config.groups)
    tree: dict = {
        "live": estimate(live.sum(axis=1).astype(float), 1),
        "groups": groups.kind,
        "dip_excess": scalar(_dips(found, "best"), 3),
        "gauge": {"dip_excess": scalar(_dips(found, "gauge"), 3)},
        "pooled": {
            "dip_excess": scalar(_pooled_dips(found, "best"), 3),
            "gauge": scalar(_pooled_dips(found, "gauge"), 3),
        },
        "pairs": {
            "dip_excess": estimate(_pair_dips(found, "best"), 3),
            "gauge": estimate(_pair_dips(found, "gauge"), 3),
        },
        # Two groups of equal size, and groups of which one has a fifth of the latents.
        "smallest_separation": Scalar(_separation(live, 0.5), 1, tolerance=0.2),
        "smallest_separation_fifth": Scalar(_separation(live, 0.2), 1, tolerance=0.2),
        "mean_best": scalar(_over_seeds(found, "best", np.mean), 3),
        "figure": _figure(found, config.groups.threshold),
    }
    tree["gauge"]["mean_best"] = scalar(_over_seeds(found, "gauge", np.mean), 3)
    for place, threshold in enumerate(thresholds):
        name, chance = name_of(threshold), float(found["data"][:, place].mean())
        tree[f"u_shape_{name}"], tree[f"law_{name}"] = _law(_recurrence(found, "best", threshold))
        tree[f"shares_{name}"] = _shares(_recurrence(found, "best", threshold))
        tree[f"chance_{name}"] = _chance(found, threshold, chance)
    return tree


def _recurrence(found: Mapping, table: str, threshold: float) -> RecurrenceTable:
    return RecurrenceTable(found[table] >= threshold, found["live"])


def _shares(recurrence: RecurrenceTable) -> dict[str, Scalar]:
    """Raw shares of live latents by p̂, and mean p̂."""

    def share(of: Callable[[np.ndarray], np.ndarray]) -> Scalar:
        def statistic(seeds: np.ndarray) -> float:
            return float(of(recurrence.counts(seeds) / (len(seeds) - 1)).mean())

        return scalar(recurrence.interval(statistic), 1, "%")

    return {
        "stable": share(lambda p: p >= STABLE),
        "unstable": share(lambda p: p <= UNSTABLE),
        "between": share(lambda p: (p > UNSTABLE) & (p < STABLE)),
        "mean": share(lambda p: p),
    }


def _law(recurrence: RecurrenceTable) -> tuple[Scalar, dict[str, Scalar]]:
    """U-shape of the fitted beta law, and its shares of stable and unstable latents."""
    fit = cache(lambda *seeds: fit_beta_law(recurrence.counts(np.array(seeds)), len(seeds) - 1))

    def shape(seeds: np.ndarray) -> float:
        return u_shape(fit(*seeds), recurrence.counts(seeds))

    camps = {
        "stable": lambda seeds: fit(*seeds).share_above(STABLE),
        "unstable": lambda seeds: 1.0 - fit(*seeds).share_above(UNSTABLE),
    }
    return scalar(recurrence.interval(shape), 2), {
        name: scalar(recurrence.interval(of), 1, "%") for name, of in camps.items()
    }


def _chance(found: Mapping, threshold: float, of_data: float) -> dict[str, Scalar]:
    """Chance levels of mean p̂, and shares and U-shape after a gauge scramble."""
    count = round(float(found["live"].sum(axis=1).mean()))
    rank = max(2, round(found["rank"]["participation"]))
    gauge = _recurrence(found, "gauge", threshold)
    scrambled = _shares(gauge)
    return {
        "isotropic": _percent(chance_reproducibility(count, int(found["width"]), threshold)),
        "rank": _percent(chance_reproducibility(count, rank, threshold)),
        "data": _percent(of_data),
        "gauge": scrambled["mean"],
        "gauge_stable": scrambled["stable"],
        "gauge_unstable": scrambled["unstable"],
        "gauge_u_shape": _law(gauge)[0],
    }


def _percent(share: float) -> Scalar:
    return Scalar(100.0 * share, 1, "%", tolerance=3.0)


def _mean_best(found: Mapping, table: str, seeds: np.ndarray) -> list[np.ndarray]:
    """Mean best cosine of each live latent with the other given seeds, one array per seed."""
    some = found[table][np.ix_(seeds, seeds)].astype(float)
    mean = np.nanmean(some, axis=1)
    return [row[alive] for row, alive in zip(mean, found["live"][seeds], strict=True)]


def _over_seeds(found: Mapping, table: str, measure: Callable[[np.ndarray], float]) -> Interval:
    return jackknife_statistic(
        lambda seeds: float(np.mean([measure(v) for v in _mean_best(found, table, seeds)])),
        len(found["live"]),
        group=2,
    )


def _dips(found: Mapping, table: str) -> Interval:
    """Dip of the mean best cosines, the continuous form of p̂, averaged over seeds."""
    return _over_seeds(found, table, dip_excess)


def _pooled_dips(found: Mapping, table: str) -> Interval:
    """Dip of the mean best cosines of all seeds together.

    A latent that recurs counts many times, so the test errs towards finding modes.
    """

    def statistic(seeds: np.ndarray) -> float:
        return dip_excess(np.concatenate(_mean_best(found, table, seeds)))

    return jackknife_statistic(statistic, len(found["live"]), group=2)


def _pair_dips(found: Mapping, table: str) -> np.ndarray:
    """Dip of the best cosines of live latents of one seed with one other, [S, S]."""
    n_seeds = len(found["live"])
    one_way = np.full((n_seeds, n_seeds), np.nan)
    for s in range(n_seeds):
        for t in range(n_seeds):
            if s != t:
                one_way[s, t] = dip_excess(found[table][s, t][found["live"][s]].astype(float))
    return 0.5 * (one_way + one_way.T)


def _separation(live: np.ndarray, share: float) -> float:
    # The count is rounded, so that arms of nearly the same size share a draw.
    return _separation_of(max(32, 32 * round(float(np.median(live.sum(axis=1))) / 32)), share)


@cache
def _separation_of(count: int, share: float) -> float:
    return detectable_separation(count, draws=50, share=share)


def _figure(found: Mapping, threshold: float) -> dict:
    """Histograms of mean best cosines by camp and of recurrence, in percent of live latents."""
    all_seeds = np.arange(len(found["live"]))
    edges = np.linspace(0.0, 1.0, BINS + 1)
    own = np.concatenate(_mean_best(found, "best", all_seeds))
    p = _recurrence(found, "best", threshold).counts(all_seeds) / (len(all_seeds) - 1)
    of_gauge = _recurrence(found, "gauge", threshold).counts(all_seeds) / (len(all_seeds) - 1)
    gauge = np.concatenate(_mean_best(found, "gauge", all_seeds))
    parts = {
        "stable": own[p >= STABLE],
        "unstable": own[p <= UNSTABLE],
        "between": own[(p > UNSTABLE) & (p < STABLE)],
        "gauge": gauge,
    }
    # Rounding may push a cosine of one above 1, and a poor latent's may be below 0.
    heights = {
        name: 100 * np.histogram(np.clip(values, 0.0, 1.0), edges)[0] / len(own)
        for name, values in parts.items()
    }
    return {
        "edges": Array(edges, 3),
        **{name: Array(height, 2, tolerance=6.0) for name, height in heights.items()},
        "votes": Array(_recurrence_histogram(p, all_seeds), 2, tolerance=3.0),
        "votes_gauge": Array(_recurrence_histogram(of_gauge, all_seeds), 2, tolerance=3.0),
    }


def _recurrence_histogram(p: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Percent of live latents with each possible p̂."""
    others = len(seeds) - 1
    return 100 * np.bincount(np.rint(p * others).astype(int), minlength=others + 1) / len(p)
