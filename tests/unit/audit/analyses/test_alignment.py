"""Assignments latent by latent, modes and domains, on dictionaries with known answers."""

import numpy as np
import pytest
import torch

from audit.analyses.alignment import align
from audit.analyses.config import ModesConfig
from audit.analyses.domains import compare_domains
from audit.analyses.modes import modes
from audit.analyses.similarity import compare
from audit.evaluation.config import EvaluationConfig
from audit.evaluation.sparse import evaluate_topk
from audit.evaluation.stages import evaluate
from audit.training.stages import train
from helpers.comparison_data import activations, normal, planted
from seedstability.dictionaries.config import DictionaryConfig, TrainingConfig
from seedstability.errors import UserError
from seedstability.similarity.config import ComparisonConfig

N, D, SHARED = 48, 24, 30
PLAIN = ComparisonConfig(permutations=0)


def dictionaries(n_seeds=3, n=N, shared=SHARED) -> dict:
    decoder = np.stack([sae.decoder.numpy() for sae in planted(n_seeds, n, D, shared)])
    start = np.stack([normal(n, D, seed=50 + s).numpy() for s in range(n_seeds)])
    return {
        "decoder": decoder,
        "encoder": decoder.copy(),
        "initial_decoder": start,
        "seeds": np.arange(n_seeds),
    }


def aligned(given=None, live=None, config=PLAIN) -> dict:
    given = given or dictionaries()
    live = np.ones(given["decoder"].shape[:2], bool) if live is None else live
    return align(config, given, {"live": live}, {"train": activations(500, D).numpy()})


@pytest.fixture(scope="module")
def found() -> dict:
    return aligned()


def test_statistics_equal_those_of_the_general_comparison(found):
    given = dictionaries()
    live = np.ones((3, N), bool)
    data = {"train": activations(500, D).numpy()}
    plain = compare(PLAIN, given, {"live": live}, data)
    for name, table in found["full"].items():
        np.testing.assert_allclose(table, plain["full"][name], atol=1e-6, err_msg=name)
    for name in ("matched_mean", "matched_median"):
        np.testing.assert_allclose(found["untrained"][name], plain["untrained"][name], atol=1e-6)
        np.testing.assert_allclose(found["live"][name], plain["live"][name], atol=1e-6)
        assert found["isotropic"][name] == pytest.approx(plain["isotropic"][name], abs=0.02)
        assert found["data"][name] == pytest.approx(plain["data"][name], abs=0.03)
    assert np.nanmean(found["gauge"]["matched_mean"]) == pytest.approx(
        np.nanmean(plain["gauge"]["matched_mean"]), abs=0.03
    )


def test_planted_latents_are_shared(found):
    assert found["full"]["shared"][0, 1] == pytest.approx(SHARED / N, abs=2 / N)
    cosine = found["partners"]["decoder_cosine"][0]
    assert (cosine > 0.999).sum() == SHARED


def test_partners_are_a_permutation_with_their_cosines(found):
    given = dictionaries()
    for p, (i, j) in enumerate(found["partners"]["pair"]):
        partner = found["partners"]["decoder_partner"][p]
        assert sorted(partner) == list(range(N))
        products = (given["decoder"][i] * given["decoder"][j][partner]).sum(axis=1)
        np.testing.assert_allclose(found["partners"]["decoder_cosine"][p], products, atol=1e-5)


def test_encoders_initialized_as_copies_agree_before_training(found):
    others = ~np.eye(3, dtype=bool)
    assert (found["untrained"]["agreeing"][others] == 1).all()
    assert (found["untrained"]["shared"][others] < 0.2).all()


def test_dead_latents_are_excluded_from_live_statistics():
    live = np.ones((3, N), bool)
    given = dictionaries()
    common = np.isclose(given["decoder"][0] @ given["decoder"][1].T, 1, atol=1e-5).any(axis=1)
    live[0, ~common] = False
    table = aligned(given, live)["live"]
    assert table["matched_mean"][0, 1] == pytest.approx(1.0, abs=1e-5)
    assert table["shared"][0, 1] == pytest.approx(SHARED / (0.5 * (SHARED + N)), abs=0.05)


@pytest.mark.parametrize("variance", [0.0, 1e-4])
def test_encoders_are_projected_on_the_span_of_the_data(variance):
    given = dictionaries()
    outside = np.zeros((3, N, 4), np.float32)
    wide = given | {
        name: np.concatenate([given[name], outside], axis=2)
        for name in ("decoder", "encoder", "initial_decoder")
    }
    wide["encoder"][..., D:] = np.random.default_rng(0).standard_normal((3, N, 4)) * 5
    data = torch.cat([activations(500, D), variance**0.5 * normal(500, 4, seed=3)], dim=1).numpy()
    live = np.ones((3, N), bool)
    found = align(PLAIN, wide, {"live": live}, {"train": data})
    assert found["rank"] == D
    assert found["full"]["shared"][0, 1] < 0.3
    assert found["span"]["shared"][0, 1] == pytest.approx(SHARED / N, abs=2 / N)


def test_only_the_requested_pairs_are_scrambled():
    table = aligned(config=ComparisonConfig(permutations=0, gauge_pairs=1))["gauge"]["shared"]
    assert np.isfinite(table).sum() == 2


def test_modes_detect_planted_groups_and_not_chance():
    given = dictionaries(3, 400, 200)
    evaluation = {"live": np.ones((3, 400), bool)}
    found = modes(ModesConfig(draws=5), aligned(given), evaluation)
    others = ~np.eye(3, dtype=bool)
    assert (found["decoder"]["dip_excess"][others] > 0).all()
    assert np.nanmax(found["gauge"]["dip_excess"]) < 0
    assert found["histogram"]["trained"].sum() == pytest.approx(100)
    assert found["histogram"]["mixture"].sum() == pytest.approx(100, abs=1)


@pytest.mark.parametrize("rectify", [True, False])
def test_the_sparse_evaluation_equals_the_plain_one(rectify):
    x = activations(600, D).numpy()
    data = {"train": x[:400], "heldout": x[400:]}
    config = DictionaryConfig(n_latents=40, k=30, epochs=2, batch_size=50, rectify=rectify)
    trained = train(TrainingConfig(config, (0, 1)), data)
    plain = evaluate(EvaluationConfig(config), trained, data)
    sparse = evaluate_topk(EvaluationConfig(config), trained, data)
    for part in ("train", "heldout"):
        for name, values in sparse[part].items():
            np.testing.assert_allclose(values, plain[part][name], atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(sparse["live"], plain["live"])


def test_the_sparse_evaluation_refuses_another_architecture():
    config = EvaluationConfig(DictionaryConfig(architecture="relu"))
    with pytest.raises(UserError, match="needs 'topk'"):
        evaluate_topk(config, {}, {"train": np.zeros((2, 2)), "heldout": np.zeros((2, 2))})


def test_latents_shared_across_domains_are_found_and_chance_is_not():
    six = dictionaries(6)
    first, second = ({k: v[part] for k, v in six.items()} for part in (slice(3), slice(3, 6)))
    data = {"train": activations(500, D).numpy()}
    found = compare_domains(PLAIN, first, second, data, data)
    assert found["shared"].mean() == pytest.approx(SHARED / N, abs=2 / N)
    assert found["gauge"]["shared"].mean() < 0.1
    assert ((found["first"]["across"] > 0.999).sum(axis=2) == SHARED).all()
    within = found["first"]["within"]
    assert np.isnan(within[range(3), range(3)]).all()
    assert ((within[0, 1] > 0.999).sum()) == SHARED
    np.testing.assert_allclose(
        found["second"]["across"][2, 1],
        (six["decoder"][5] @ six["decoder"][1].T).max(axis=1),
        atol=1e-5,
    )
