"""Section "Many seeds": recurrence counts of planted dictionaries, and predictions from three."""

from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from audit.analyses.config import RecurrenceConfig
from audit.analyses.recurrence import recurrence
from audit.experiments.seeds import experiment as seeds
from audit.experiments.seeds import measurements as measurements
from audit.experiments.seeds.recurrence import Extrapolation, RecurrenceTable
from helpers.seeds_data import planted, recurrence_of
from seedstability.stability.matching.match import agreement, match
from seedstability.stability.recurrence import best_cosines, recurrence_counts
from seedstability.stability.statistics.beta_binomial import BetaLaw, beta_binomial_fit

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def stage_result():
    return recurrence_of(seeds=5)


def test_recurrence_equals_the_plain_functions():
    dictionaries, evaluation, activations = planted(seeds=4)
    stage_result = recurrence(RecurrenceConfig(), dictionaries, evaluation, activations)
    decoders, live = torch.from_numpy(dictionaries["decoder"]), torch.from_numpy(evaluation["live"])
    np.testing.assert_allclose(stage_result["best"], best_cosines(decoders).numpy(), atol=1e-6)
    rows = torch.nn.functional.normalize(decoders, dim=-1)
    for s, t in permutations(range(len(rows)), 2):
        # A dead latent, still at its initialization, is no partner.
        plain = (rows[s] @ rows[t][live[t]].T).amax(1)
        np.testing.assert_allclose(stage_result["best_live"][s, t], plain.numpy(), atol=1e-6)
    encoders = torch.from_numpy(dictionaries["encoder"])
    for s, t in ((0, 1), (1, 0), (3, 2)):
        found = agreement(match(decoders[s], decoders[t]), match(encoders[s], encoders[t]))
        np.testing.assert_array_equal(stage_result["shared"][s, t], found.shared.numpy())


def test_few_latents_recur_by_chance(stage_result):
    found, chance = (
        RecurrenceTable.of(stage_result, kind, 0.7).found.mean() for kind in ("found", "gauge")
    )
    assert chance < 0.1 * found


def test_counts_equal_plain_recurrence_counts(stage_result):
    all_seeds = np.arange(5)
    plain = recurrence_counts(torch.from_numpy(stage_result["best"]), 0.7).numpy()
    np.testing.assert_array_equal(
        RecurrenceTable.of(stage_result, "found", 0.7).counts(all_seeds), plain.reshape(-1)
    )
    alive = RecurrenceTable.of(stage_result, "found_live", 0.7)
    assert len(alive.counts(all_seeds)) == stage_result["live"].sum()
    without = np.array([0, 2, 3])
    assert len(alive.counts(without)) == stage_result["live"][without].sum()
    assert alive.counts(without).max() <= 2


def test_extrapolation_has_the_maximum_likelihood_law_of_each_triple(stage_result):
    table = RecurrenceTable.of(stage_result, "found_live", 0.7)
    extrapolation = Extrapolation(table)
    assert len(extrapolation.laws) == len(list(combinations(range(5), 3)))
    for triple, law in zip(extrapolation.triples, extrapolation.laws, strict=True):
        fit = beta_binomial_fit(table.counts(triple), 2)
        plain = BetaLaw(fit.a, fit.b)
        assert law.unshared(4) == pytest.approx(plain.unshared(4), abs=5e-3)


def exchangeable_seeds(law, seeds=20, latents=400):
    """Exchangeable seeds: each latent has a p of its own and recurs independently."""
    rng = np.random.default_rng(0)
    p = rng.beta(law.a, law.b, size=(seeds, latents))
    found = rng.random((seeds, seeds, latents)) < p[:, None]
    found[np.arange(seeds), np.arange(seeds)] = False
    return RecurrenceTable(found, np.ones((seeds, latents), bool))


def test_three_exchangeable_seeds_predict_twenty():
    extrapolation = Extrapolation(exchangeable_seeds(BetaLaw(0.5, 0.4)))
    all_seeds = np.arange(20)
    for others in (4, 9, 19):
        assert abs(extrapolation.error(all_seeds, others)) < 0.02
        interval = extrapolation.table.interval(lambda s, m=others: extrapolation.error(s, m))
        assert interval.low < 0 < interval.high


def test_counts_that_no_law_matches_are_fitted_at_the_edge():
    found = np.zeros((4, 4, 50), bool)
    extrapolation = Extrapolation(RecurrenceTable(found, np.ones((4, 50), bool)))
    assert extrapolation.mean(np.arange(4), 3) == pytest.approx(1.0, abs=0.01)


def test_two_camps_that_follow_no_beta_law_are_misplaced():
    config = seeds.PROFILES["smoke"]
    followed = measurements._law(exchangeable_seeds(BetaLaw(0.5, 0.4)), config)
    assert followed["misplaced"].value < 3 * followed["misplaced_by_luck"].value
    assert 0.3 < followed["misplaced_by_luck"].value < 3.0  # 8,000 latents, 20 bins
    odd = exchangeable_seeds(BetaLaw(0.5, 0.4))
    half = np.arange(20)[:, None] < 10
    odd.found[:, :, :200] = half.T[0][None, :, None]
    broken = measurements._law(odd, config)
    assert broken["misplaced"].value > 5 * broken["misplaced_by_luck"].value


def test_raw_stable_share_falls_with_seeds_and_the_fitted_one_does_not(stage_result):
    table = exchangeable_seeds(BetaLaw(0.5, 0.2))
    all_seeds = np.arange(20)
    raw = [table.shares(all_seeds, m)[1] for m in (4, 9, 19)]
    assert raw[0] > raw[1] > raw[2]
    fitted = [table.law(np.arange(m + 1)).share_above(0.95) for m in (4, 9, 19)]
    assert np.ptp(fitted) < 0.05 < raw[0] - raw[2]


def test_profiles_have_the_same_addresses(stage_result):
    from audit.pipeline.results import leaves

    config = seeds.PROFILES["smoke"]
    tree = measurements.prediction(config, stage_result)
    names = {address for address, _ in leaves(tree)}
    assert {"shared.few.error", "found_live.all.foretold", "found.curve"} <= names
    assert {address for address, _ in leaves(measurements.report(config))} == {
        address for address, _ in leaves(measurements.report(seeds.paper))
    }


def test_extrapolated_shares_of_the_fifth_report():
    tree = measurements.report(seeds.paper)
    printed = [round(tree[place].value) for place in ("few", "more", "all")]
    assert printed == [25, 17, 12]
