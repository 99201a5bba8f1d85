"""Comparison of SAEs end to end: known answers, few and many seeds, with and without inputs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.analyses import similarity as stages
from helpers.comparison_data import activations, normal, planted, sae, schema_errors
from seedstability import side_by_side
from seedstability.report.compare import compare
from seedstability.similarity import measures
from seedstability.similarity.config import ComparisonConfig, config_for_size
from seedstability.similarity.inputs import ComparisonInputs
from seedstability.similarity.measures import measure
from seedstability.similarity.pairs import Weights, partner_statistics
from seedstability.similarity.samples.activations import accumulate_moments, open_activations
from seedstability.stability import pairs
from seedstability.stability.chance import null_models
from seedstability.stability.chance.closed_form import chance_level, chance_reproducibility
from seedstability.stability.matching import match as matching
from seedstability.stability.matching import nearest as best
from seedstability.stability.subspaces import principal as subspaces

# Small products: a second thread costs more than it saves.
torch.set_num_threads(1)

SHARES = ("shared", "shared_decoder_only", "agreeing")


def value(report, name: str, scope: str = "full") -> float:
    return report.document["measures"][scope][name]["value"]


@pytest.mark.parametrize("n_seeds", [2, 3, 5, 20])
def test_planted_latents_recur_with_any_number_of_dictionaries(n_seeds):
    report = compare(planted(n_seeds, n=48, d=128, shared=12))
    assert schema_errors(report.document) == []
    found = report.document["reproducibility"]
    assert found["thresholds"]["0.7"]["mean"]["value"] == pytest.approx(0.25)
    assert found["thresholds"]["0.7"]["stable"]["value"] == pytest.approx(0.25)
    assert found["histogram"]["count"] == [36 * n_seeds, *[0] * (n_seeds - 2), 12 * n_seeds]
    for name in SHARES[:2]:
        assert value(report, name) == pytest.approx(25.0)
    assert report.summary[0] == "25% of latents recur; less than 0.1% would by chance."


@pytest.mark.parametrize("shape", [(16, 8), (16, 2), (3, 2), (64, 16)])
def test_permuted_equal_dictionaries_have_similarity_one(shape):
    decoder, encoder = normal(*shape), normal(*shape, seed=1)
    order = torch.arange(shape[0]).roll(1)
    report = compare([sae(decoder, encoder), sae(decoder[order], encoder[order])])
    assert schema_errors(report.document) == []
    for name in ("max_cosine", "max_abs_cosine", "matched_mean", "encoder_matched_median"):
        assert value(report, name) == pytest.approx(1.0, abs=1e-5), name
    for name in SHARES:
        assert value(report, name) == 100.0
    assert all(
        entry["overlap"]["value"] == pytest.approx(1.0)
        for entry in report.document["subspaces"].values()
    )
    assert report.arrays["partner"][0].tolist() == order.argsort().tolist()


def test_compare_equals_the_stage_of_the_paper():
    saes, x = planted(5, n=40, d=16, shared=10, noise=0.8), activations(3000, 16)
    initial = [sae(normal(40, 16, seed=50 + seed)) for seed in range(5)]
    report = compare(saes, activations=x, initial=initial)
    live = np.stack([row > 0 for row in report.arrays["firing"]])
    of_the_paper = stages.compare(
        config_for_size(ComparisonConfig(), 40, 16, 5, matched=10),
        {
            "decoder": torch.stack([each.decoder for each in saes]).numpy(),
            "encoder": torch.stack([each.encoder for each in saes]).numpy(),
            "initial_decoder": torch.stack([each.decoder for each in initial]).numpy(),
        },
        {"live": live},
        {"train": x.numpy()},
    )
    for scope in ("full", "live", "span"):
        for name, values in of_the_paper[scope].items():
            ours = np.array(report.document["pairs"][scope][name], float)
            np.testing.assert_allclose(ours, values, atol=2e-6, err_msg=f"{scope} {name}")
    chance = report.document["measures"]["full"]["matched_mean"]["chance"]
    for level in ("untrained", "gauge"):
        assert chance[level] == pytest.approx(np.nanmean(of_the_paper[level]["matched_mean"]), 1e-4)
    for level in ("isotropic", "data"):
        assert chance[level] == pytest.approx(of_the_paper[level]["matched_mean"], 1e-4)
    p = report.document["measures"]["full"]["max_cosine"]["p_gauge"]
    assert p == of_the_paper["p_gauge"]["max_cosine"]
    np.testing.assert_allclose(
        report.arrays["reproducibility"], of_the_paper["reproducibility"], atol=1e-6
    )


def inputs(n_seeds=3, shared=10, live=None, encoders=True, n=40, d=16) -> ComparisonInputs:
    saes = planted(n_seeds, n=n, d=d, shared=shared, noise=0.8)
    moments = accumulate_moments(open_activations(activations(3000, d), d)).moments
    weights = [Weights(each.decoder, each.encoder if encoders else None) for each in saes]
    return ComparisonInputs(weights, live, moments)


def test_large_p_values_stop_early_and_small_ones_never():
    every, stopped = (
        ComparisonConfig(enough_exceedances=enough, permutations=99) for enough in (None, 10)
    )
    unrelated, related = inputs(5, shared=0, n=30, d=12), inputs(shared=40)
    whole = measure(unrelated, every)["p_gauge"]
    early = measure(unrelated, stopped)["p_gauge"]
    for name, p in early.items():
        draws = 10 / p
        assert draws == pytest.approx(round(draws))
        assert draws < 99
        assert abs(p - whole[name]) < 3 * p / 10**0.5
    assert measure(related, stopped)["p_gauge"] == measure(related, every)["p_gauge"]
    assert set(measure(related, every)["p_gauge"].values()) == {0.01}


def test_live_latents_that_are_all_latents_are_not_matched_again(monkeypatch):
    calls = []
    find = measures.find_sae_partners
    monkeypatch.setattr(
        measures, "find_sae_partners", lambda *given: calls.append(given) or find(*given)
    )
    config = ComparisonConfig(permutations=0)
    recorded = []
    all_live = [torch.ones(40, dtype=torch.bool)] * 3
    found = measure(inputs(live=all_live), config, lambda *given: recorded.append(given))
    # Three pairs, and a scramble of each.
    assert len(calls) == 6
    for name, values in found["live"].items():
        np.testing.assert_array_equal(values, found["full"][name])
    tables = [table for table, *_ in recorded]
    assert tables.count("live") == tables.count("full") == 3


def test_without_encoders_decoder_statistics_are_the_same():
    config = ComparisonConfig(permutations=5, gauge_draws=2)
    with_both, decoders = (measure(inputs(encoders=each), config) for each in (True, False))
    for table in ("full", "span"):
        assert set(decoders[table]) == {
            name
            for name in with_both[table]
            if not name.startswith("encoder") and name not in ("shared", "agreeing")
        }
        for name, values in decoders[table].items():
            np.testing.assert_array_equal(values, with_both[table][name])
    assert set(decoders["gauge"]) == set(decoders["full"])


def test_several_threads_give_the_same_numbers(monkeypatch):
    pools = []
    pool = side_by_side.ThreadPoolExecutor
    monkeypatch.setattr(
        side_by_side, "ThreadPoolExecutor", lambda n: pools.append(n) or pool(max_workers=n)
    )
    config = ComparisonConfig(permutations=5, chance_draws=5)
    one = measure(inputs(), config)
    assert not pools
    torch.set_num_threads(3)
    try:
        three = measure(inputs(), config)
    finally:
        torch.set_num_threads(1)
    # Decoders beside encoders of each pair and its scramble; five draws of two levels, by threes.
    assert sorted(pools) == [2] * 6 + [2] * 2 + [3] * 2
    assert set(one) == set(three)
    for table in set(one) - {"best"}:
        for name, values in one[table].items():
            # A library may split one product among threads, and then its last bit is another's.
            np.testing.assert_allclose(
                values, three[table][name], rtol=0, atol=1e-7, err_msg=f"{table} {name}"
            )
    assert torch.equal(one["best"].nan_to_num(), three["best"].nan_to_num())


def test_partners_in_blocks_equal_those_of_one_matrix(monkeypatch):
    A, B = (each.decoder for each in planted(2, n=300, d=24, shared=120, noise=0.7))
    whole = pairs.find_partners(A, B)
    monkeypatch.setattr(pairs, "_COSINES_AT_ONCE", 0)
    monkeypatch.setattr(best, "_COSINES_AT_ONCE", 0)
    monkeypatch.setattr(matching, "_SMALL", 0)
    in_blocks = pairs.find_partners(A, B)
    assert partner_statistics(in_blocks) == pytest.approx(partner_statistics(whole), abs=1e-6)
    assert in_blocks.matching.partner.tolist() == whole.matching.partner.tolist()


def test_levels_missing_without_activations_and_initial_are_noted():
    report = compare(planted(3, n=24, d=12, shared=6))
    document = report.document
    chance = document["measures"]["full"]["max_cosine"]["chance"]
    assert chance["isotropic"] == pytest.approx(chance_level(24, 12, "max_cosine"), rel=1e-5)
    assert [chance[level] for level in ("untrained", "data", "gauge")] == [None] * 3
    assert set(document["measures"]) == {"full"}
    assert document["firing"] is None
    assert "firing" not in report.arrays
    notes = " ".join(document["notes"])
    assert "--activations" in notes
    assert "--initial" in notes
    assert "range of the pairs" in notes
    expected = chance_reproducibility(24, 12, 0.7)
    found = document["reproducibility"]["thresholds"]["0.7"]["chance"]["isotropic"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_live_statistics_exclude_dead_latents_and_dictionaries():
    saes, x = planted(3, n=32, d=16, shared=16), activations(500, 16)
    # With such a bias a latent is never among the k largest.
    for latent in range(8):
        saes[1].encoder_bias[latent] = -1e6
    dead = sae(normal(32, 16, seed=5))
    dead.encoder_bias[:] = -1e6
    report = compare([*saes, dead], activations=x)
    document = report.document
    assert schema_errors(document) == []
    assert [each["live"] for each in document["dictionaries"]][3] == 0
    assert document["dictionaries"][1]["live"] <= 24
    live = document["pairs"]["live"]["max_cosine"]
    assert live[3] == [None] * 4
    assert live[0][1] is not None
    assert document["dictionaries"][3]["dead_fraction"] == 1.0
    assert any("SAE 3 fires" in note for note in document["notes"])
    assert document["firing"]["dead"]["count"] == (report.arrays["firing"] == 0).sum()
    assert sum(document["firing"]["count"]) == (report.arrays["firing"] > 0).sum()


def test_live_latents_recur_only_among_live_latents():
    shared = planted(2, n=20, d=64, shared=20)
    x = normal(400, 64)
    # A latent whose only partner never fires does not recur among live latents.
    hidden = shared[1].decoder.clone()
    silent = sae(hidden, hidden)
    silent.encoder_bias[:10] = -1e6
    found = compare([shared[0], silent], activations=x).document["reproducibility"]
    assert found["thresholds"]["0.7"]["mean"]["value"] == 1.0
    assert found["live"]["0.7"]["mean"]["value"] == pytest.approx((10 / 20 + 10 / 10) / 2, abs=0.2)
    assert found["live"]["0.7"]["mean"]["value"] < 0.9


def test_more_than_five_dictionaries_are_matched_in_a_ring_by_default():
    saes = planted(7, n=16, d=8, shared=4)
    ring = compare(saes)
    assert len(ring.arrays["pairs"]) == 10 + 3
    assert any("13 of 21 pairs" in note for note in ring.document["notes"])
    assert ring.document["pairs"]["full"]["matched_mean"][0][5] is None
    assert ring.document["pairs"]["full"]["max_cosine"][0][5] is not None
    every = compare(saes, all_pairs=True)
    assert len(every.arrays["pairs"]) == 21
    assert every.document["settings"]["complete"] == 7


def test_histograms_sum_to_one():
    report = compare(planted(3, n=24, d=6, shared=6), activations=activations(400, 6))
    drawn = report.document["distribution"]
    assert len(drawn["edges"]) == 41
    curves = [drawn["matched"], drawn["best"], *drawn["chance_best"].values()]
    for curve in [*curves, *drawn["chance_matched"].values()]:
        assert sum(curve) == pytest.approx(1.0, abs=1e-4)
    # The mean of the histogram of best cosines is the statistic.
    middles = (np.array(drawn["edges"][1:]) + drawn["edges"][:-1]) / 2
    assert middles @ drawn["best"] == pytest.approx(value(report, "max_cosine"), abs=0.02)
    expected = chance_level(24, 6, "max_cosine")
    assert middles @ drawn["chance_best"]["isotropic"] == pytest.approx(expected, abs=0.005)


def test_number_of_samples_of_a_level_scales_with_size():
    config = ComparisonConfig()
    same = replace(config, enough_exceedances=10)
    assert config_for_size(config, 1024, 128, 5, matched=10) == same
    few = config_for_size(config, 64, 16, 2, matched=1)
    assert (few.chance_draws, few.gauge_draws, few.permutations) == (160, 160, 99)
    middle = config_for_size(config, 4096, 768, 5, matched=10)
    assert (middle.chance_draws, middle.gauge_draws, middle.gauge_pairs) == (3, 1, None)
    assert middle.permutations == 0
    large = config_for_size(config, 131_072, 768, 5, matched=10)
    assert (large.chance_draws, large.gauge_draws, large.gauge_pairs) == (1, 1, 1)


def test_gauge_level_of_one_pair_is_used_for_all_pairs(monkeypatch):
    monkeypatch.setattr("seedstability.similarity.config._LATENTS_OF_EVERY_GAUGE", 10)
    report = compare(planted(5, n=24, d=8, shared=6), activations=activations(400, 8))
    assert schema_errors(report.document) == []
    assert report.document["settings"]["gauge_pairs"] == 1
    assert "gauge" in report.document["measures"]["full"]["matched_mean"]["kappa"]
    assert any("1 of 10 pairs" in note for note in report.document["notes"])


def test_unrelated_dictionaries_are_reported_as_equivalent_to_chance():
    report = compare(planted(6, n=400, d=64, shared=0))
    assert report.summary[-1].startswith("The similarity is equivalent to chance")
    assert (
        not compare(planted(6, n=64, d=64, shared=32))
        .summary[-1]
        .startswith("The similarity is equivalent")
    )


def test_the_certificate_holds_for_every_pair_of_latents():
    saes = planted(2, n=40, d=8, shared=10, noise=0.5)
    report = compare(saes)
    u, v = report.arrays["price_a"][0], report.arrays["price_b"][0]
    S = torch.nn.functional.normalize(saes[0].decoder.double(), dim=1)
    S = (S @ torch.nn.functional.normalize(saes[1].decoder.double(), dim=1).T).numpy()
    assert (u[:, None] + v + 1e-5 >= S).all()
    stated = report.document["matchings"][0]
    assert u.sum() + v.sum() - stated["total"] <= stated["bound"] + 1e-9
    assert stated["bound"] < 1e-3
    assert report.arrays["cosine"][0].sum() == pytest.approx(stated["total"], abs=1e-4)


def test_the_same_inputs_give_the_same_report():
    saes, x = planted(3, n=24, d=8, shared=6), activations(400, 8)
    one, other = compare(saes, activations=x), compare(saes, activations=x)
    assert one.document == other.document
    for name, array in one.arrays.items():
        assert np.array_equal(array, other.arrays[name]), name


def test_chance_level_of_a_share_is_in_percent():
    report = compare(planted(2, n=25, d=3, shared=5))
    chance = report.document["measures"]["full"]["agreeing"]["chance"]
    assert chance["isotropic"] == pytest.approx(100 / 25)
    # In three dimensions many matched cosines are above 0.7 by chance; two independent assignments
    # agree on one latent in 25.
    close = report.document["measures"]["full"]["shared_decoder_only"]["chance"]["isotropic"]
    shared = report.document["measures"]["full"]["shared"]["chance"]["isotropic"]
    assert 50 < close < 100
    assert shared == pytest.approx(close**2 / 100 / 25, rel=1e-4)


def test_matched_cosine_is_the_mean_over_partners():
    arrays = compare(planted(3, n=20, d=8, shared=5, noise=0.5)).arrays
    found: dict[tuple[int, int], list[float]] = {}
    for (i, j), partner, cosine in zip(
        arrays["pairs"].tolist(), arrays["partner"], arrays["cosine"], strict=True
    ):
        for latent in range(20):
            found.setdefault((i, latent), []).append(cosine[latent])
            found.setdefault((j, partner[latent]), []).append(cosine[latent])
    for (seed, latent), cosines in found.items():
        assert len(cosines) == 2
        expected = pytest.approx(np.mean(cosines), abs=1e-6)
        assert arrays["matched_cosine"][seed, latent] == expected


def test_computation_in_blocks_of_rows_equals_one_pass(monkeypatch):
    W, basis = normal(50, 12), null_models.GaugeBasis.from_activations(activations(300, 12))

    def both():
        generator = torch.Generator().manual_seed(0)
        scrambled = null_models.gauge_scramble(W, basis, generator)
        return scrambled, subspaces.second_moments(W)

    at_once = both()
    for module in (null_models, subspaces):
        monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    for ours, whole in zip(both(), at_once, strict=True):
        torch.testing.assert_close(ours, whole)
    torch.testing.assert_close(at_once[1], W.double().T @ W.double())
