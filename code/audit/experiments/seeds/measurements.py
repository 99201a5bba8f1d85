"""Values of section "Many seeds", one function per part."""

from collections.abc import Callable
from functools import cache

import numpy as np

from audit.analyses.recurrence import Recurrence
from audit.experiments.common.summary import scalar
from audit.experiments.seeds.experiment import SeedsSettings, places
from audit.experiments.seeds.recurrence import KINDS, Extrapolation, RecurrenceTable
from audit.experiments.tokens.contrasts import with_interval_tolerance
from audit.pipeline.results import Array, Scalar
from seedstability.stability.statistics.beta_binomial import (
    BetaLaw,
    law_from_unshared,
    total_variation_distance,
)

"""Names of the numbers of other seeds, so that every profile has the same addresses."""
TRAINED = KINDS[:3]


def report(config: SeedsSettings) -> dict:
    """Extrapolate from the fifth report's two shares, assuming exchangeable seeds."""
    law = law_from_unshared(*config.reported_unshared)
    others = range(1, config.others[-1] + 1)
    return {
        "unshared_one": Scalar(100 * config.reported_unshared[0], 0, "%"),
        "unshared_two": Scalar(100 * config.reported_unshared[1], 0, "%"),
        "a": Scalar(law.a, 2),
        "b": Scalar(law.b, 2),
        "stable": Scalar(100 * law.share_above(0.95), 0, "%"),
        **{place: Scalar(100 * law.unshared(count), 0, "%") for place, count in places(config)},
        "curve": Array(100 * np.array([law.unshared(m) for m in others]), 2),
    }


def votes(config: SeedsSettings, recurrence: Recurrence) -> dict:
    """Unshared and unanimous shares over the number of other seeds, with the fitted law."""
    others = np.arange(1, len(recurrence["live"]))
    tree: dict = {"others": Array(others, 0)}
    for kind in KINDS:
        table = RecurrenceTable.of(recurrence, kind, config.threshold)
        tree[kind] = _shares(table, config, others)
        if kind in TRAINED:
            tree[kind] |= _law(table, config)
    tree["thresholds"] = {
        f"t{round(10 * threshold):02d}": {
            "found_live": _stable(RecurrenceTable.of(recurrence, "found_live", threshold)),
            "found": _stable(RecurrenceTable.of(recurrence, "found", threshold)),
        }
        for threshold in config.thresholds
    }
    tree["live_share"] = Scalar(100 * float(recurrence["live"].mean()), 1, "%", tolerance=3.0)
    return with_interval_tolerance(tree)


def prediction(config: SeedsSettings, recurrence: Recurrence) -> dict:
    """Predict the unshared share from three seeds, and compare it with all seeds."""
    tree: dict = {"others": Array(np.arange(1, len(recurrence["live"])), 0)}
    for kind in TRAINED:
        extrapolation = Extrapolation(RecurrenceTable.of(recurrence, kind, config.threshold))
        tree[kind] = {
            place: _predicted(extrapolation, count) for place, count in places(config)
        } | _band(extrapolation)
        tree[kind]["choices"] = len(extrapolation.triples)
    return with_interval_tolerance(tree)


def _shares(table: RecurrenceTable, config: SeedsSettings, others: np.ndarray) -> dict:
    """Raw shares: curves over the number of other seeds, and values with intervals for the text."""
    all_seeds = np.arange(table.n_seeds)
    none, every = np.array([table.shares(all_seeds, m) for m in others]).T
    tree: dict = {
        "unshared": Array(100 * none, 2, tolerance=3.0),
        "unanimous": Array(100 * every, 2, tolerance=3.0),
    }
    for place, count in places(config):
        tree[place] = {
            "unshared": _share(table, count, 0),
            "unanimous": _share(table, count, 1),
        }
    return tree


def _share(table: RecurrenceTable, others: int, which: int) -> Scalar:
    return scalar(table.interval(lambda s: table.shares(s, others)[which]), 1, "%")


def _law(table: RecurrenceTable, config: SeedsSettings) -> dict:
    """Law fitted to all recurrence counts, its stable share, and its goodness of fit."""
    all_seeds = np.arange(table.n_seeds)
    law, found = table.law(all_seeds), table.counts(all_seeds)
    trials = table.n_seeds - 1
    observed = np.bincount(found, minlength=trials + 1) / len(found)
    expected = law.counts_pmf(trials)
    fitted = _fitted(table)
    return {
        "a": scalar(table.interval(lambda s: fitted(s).a), 2),
        "b": scalar(table.interval(lambda s: fitted(s).b), 2),
        "mean": scalar(table.interval(lambda s: fitted(s).mean), 1, "%"),
        "stable": scalar(table.interval(lambda s: fitted(s).share_above(0.95)), 1, "%"),
        "unstable": scalar(table.interval(lambda s: 1 - fitted(s).share_above(0.05)), 1, "%"),
        "histogram": Array(100 * observed, 2, tolerance=3.0),
        "fitted": Array(100 * expected, 2, tolerance=3.0),
        "misplaced": Scalar(
            100 * total_variation_distance(observed, expected), 1, "%", tolerance=3.0
        ),
        "misplaced_by_luck": Scalar(
            100 * _expected_misfit(law, trials, len(found), config), 1, "%", tolerance=0.5
        ),
    }


def _fitted(table: RecurrenceTable) -> Callable[[np.ndarray], BetaLaw]:
    """A function that fits the law of some seeds, and caches the fits."""
    fit = cache(lambda *seeds: table.law(np.array(seeds)))
    return lambda seeds: fit(*seeds.tolist())


def _expected_misfit(law: BetaLaw, trials: int, latents: int, config: SeedsSettings) -> float:
    """Mean misfit of as many latents drawn from the law itself."""
    generator, expected = np.random.default_rng(config.seed), law.counts_pmf(trials)
    drawn = generator.multinomial(latents, expected / expected.sum(), size=config.draws) / latents
    return float(np.mean([total_variation_distance(each, expected) for each in drawn]))


def _stable(table: RecurrenceTable) -> dict:
    """Raw stable share over all seeds, and the law's."""
    trials, fitted = table.n_seeds - 1, _fitted(table)
    return {
        "raw": scalar(table.interval(lambda s: table.shares(s, trials)[1]), 1, "%"),
        "law": scalar(table.interval(lambda s: fitted(s).share_above(0.95)), 1, "%"),
        "mean": scalar(table.interval(lambda s: fitted(s).mean), 1, "%"),
    }


def _predicted(extrapolation: Extrapolation, others: int) -> dict:
    table = extrapolation.table
    each = extrapolation.unshared(min(others, table.n_seeds - 1))
    low, high = 100 * np.quantile(each, [0.05, 0.95])
    return {
        "foretold": scalar(table.interval(lambda s: extrapolation.mean(s, others)), 1, "%"),
        "observed": scalar(table.interval(lambda s: table.shares(s, others)[0]), 1, "%"),
        "error": scalar(table.interval(lambda s: extrapolation.error(s, others)), 1, "%"),
        "single_low": Scalar(float(low), 1, "%", tolerance=4.0),
        "single_high": Scalar(float(high), 1, "%", tolerance=4.0),
    }


def _band(extrapolation: Extrapolation) -> dict:
    """Arrays over the number of other seeds: mean over all triples, and their central 90%."""
    each = 100 * np.array(
        [extrapolation.unshared(m) for m in range(1, extrapolation.table.n_seeds)]
    )
    low, high = np.quantile(each, [0.05, 0.95], axis=1)
    columns = {"curve": each.mean(axis=1), "curve_low": low, "curve_high": high}
    return {name: Array(column, 2, tolerance=4.0) for name, column in columns.items()}
