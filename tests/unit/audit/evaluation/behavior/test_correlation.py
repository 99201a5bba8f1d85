"""Activations of two dictionaries are correlated exactly, with both reference levels."""

import numpy as np
import pytest
import torch
from scipy import stats

from audit.evaluation.behavior.config import CorrelationConfig
from audit.evaluation.behavior.correlation import (
    LatentSimilarities,
    _shuffled_tokens,
    agreement_statistics,
    correlate,
    latent_similarities,
    pearson,
    rotated_about,
    sparse_codes,
)
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.subspaces.principal import principal_basis

D, N, CONTEXTS, LENGTH = 12, 20, 30, 40
TOPK = DictionaryConfig(n_latents=N, k=4)


def dictionary(seed, config=TOPK):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.nn.functional.normalize(torch.randn(N, D, generator=generator))
    bias = 0.1 * torch.randn(N, generator=generator)
    return SAE(rows, bias, rows.clone(), torch.full((D,), 0.2), torch.zeros(N), config)


def samples(seed=0, m=CONTEXTS * LENGTH):
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(2.0, 0.3, D)
    return 1.0 + torch.randn(m, D, generator=generator) * scale


def stage_inputs(saes):
    parts = ("encoder", "encoder_bias", "decoder", "decoder_bias", "threshold")
    stacked = {name: torch.stack([getattr(sae, name) for sae in saes]).numpy() for name in parts}
    stacked["seeds"] = np.arange(len(saes))
    data = {
        "train": samples(1).numpy(),
        "heldout": samples().numpy(),
        "heldout_domain": np.repeat([0, 1], CONTEXTS // 2).astype(np.int8),
    }
    return stacked, data


@pytest.mark.parametrize("architecture", ["topk", "relu"])
def test_correlations_of_sparse_codes_equal_those_of_dense_ones(architecture):
    config = DictionaryConfig(architecture=architecture, n_latents=N, k=4)
    a, b, x = dictionary(0, config), dictionary(1, config), samples()
    ours = pearson(sparse_codes(a, x), sparse_codes(b, x))
    both = torch.cat([a.encode(x), b.encode(x)], dim=1).double().numpy()
    np.testing.assert_allclose(ours, np.corrcoef(both.T)[:N, N:], atol=1e-9)


def test_encoding_does_not_depend_on_the_batch_size(monkeypatch):
    x, sae = samples(), dictionary(0)
    whole = sparse_codes(sae, x)
    monkeypatch.setattr("audit.evaluation.behavior.correlation._BATCH", 7)
    parts = sparse_codes(sae, x)
    assert parts.values.shape == (len(x), N)
    np.testing.assert_allclose(parts.values.toarray(), whole.values.toarray(), atol=1e-6)


def test_dead_latents_are_excluded():
    sae = dictionary(0)
    sae.encoder_bias[3] = -100.0
    codes = sparse_codes(sae, samples())
    assert list(np.flatnonzero(~codes.live)) == [3]
    assert not pearson(codes, codes)[3].any()
    assert latent_similarities(sae.decoder, sae.decoder, codes, codes).cosine.shape == (
        N - 1,
        N - 1,
    )


def test_firing_rates_are_shares_of_tokens():
    x, sae = samples(), dictionary(0)
    dense = sae.encode(x).numpy()
    np.testing.assert_allclose(sparse_codes(sae, x).rate, (dense != 0).mean(axis=0))


def test_permuted_latents_are_all_matched():
    sae, x = dictionary(0), samples()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    other = SAE(
        sae.encoder[order], sae.encoder_bias[order], sae.decoder[order], *(sae.decoder_bias,),
        sae.threshold, TOPK,
    )  # fmt: skip
    found = agreement_statistics(
        latent_similarities(
            sae.decoder, other.decoder, sparse_codes(sae, x), sparse_codes(other, x)
        ),
        CorrelationConfig(TOPK, (0, 1, 2)),
    )
    for name in ("matched_cosine", "matched_correlation", "partner_correlation", "same_partner"):
        assert found[name] == pytest.approx(1.0)
    assert found["both"] == 1.0
    assert found["activations_only"] == found["decoder_only"] == 0.0


def test_latents_are_counted_by_decoder_and_by_activation_similarity():
    cosine = np.where(np.eye(4), np.diag([0.95, 0.85, 0.15, 0.25]), -0.5)
    correlation = np.full((4, 4), -0.1)
    correlation[[0, 1, 2, 3], [0, 2, 1, 3]] = [0.8, 0.4, 0.75, 0.3]
    correlation[1, 1] = 0.2
    found = agreement_statistics(
        LatentSimilarities(cosine, correlation), CorrelationConfig(TOPK, (0, 1, 2))
    )
    assert found["same_partner"] == 0.5
    assert found["both"] == 0.25
    assert found["decoder_only"] == 0.25
    assert found["activations_only"] == 0.25
    assert found["matched_correlation"] == pytest.approx((0.8 + 0.4 + 0.75 + 0.3) / 4)
    assert found["partner_correlation"] == pytest.approx((0.8 + 0.2 - 0.1 + 0.3) / 4)
    assert found["correlation_of_same"] == pytest.approx(0.5)
    assert found["correlation_of_unlike"] == pytest.approx(0.1)
    expected = stats.spearmanr([0.95, 0.85, 0.15, 0.25], [0.8, 0.2, -0.1, 0.3]).statistic
    assert found["spearman"] == pytest.approx(expected)
    np.testing.assert_allclose(found["binned_share"][[1, 2, 8, 9]], 0.25)
    assert found["binned_correlation"][9] == pytest.approx(0.8)
    assert np.isnan(found["binned_correlation"][5])


def test_the_second_dictionary_may_have_fewer_live_latents():
    # Latents 0 to 3 have partners by decoder, latents 2 to 5 by activation: two have both.
    cosine, correlation = np.full((6, 4), -0.5), np.full((6, 4), -0.5)
    cosine[[0, 1, 2, 3], [0, 1, 2, 3]] = 0.9
    correlation[[2, 3, 4, 5], [2, 3, 0, 1]] = [0.8, 0.4, 0.6, 0.6]
    found = agreement_statistics(
        LatentSimilarities(cosine, correlation), CorrelationConfig(TOPK, (0, 1, 2))
    )
    assert found["same_partner"] == 1.0
    assert found["matched_correlation"] == pytest.approx(0.6)
    assert found["both"] == found["decoder_only"] == 0.5


def test_rotated_samples_keep_mean_and_covariance():
    x = samples(2, 5000)
    basis = principal_basis(x)
    gauge = GaugeBasis.from_basis(basis, len(x))
    turn = gauge_scramble(torch.eye(D), gauge, torch.Generator().manual_seed(0))
    turned = rotated_about(x, basis.mean, turn)
    torch.testing.assert_close(turned.mean(0), x.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(turned.T), torch.cov(x.T), atol=2e-2, rtol=0)
    assert (turned - x).abs().mean() > 0.1


def test_a_gauge_scrambled_dictionary_reads_rotated_samples(monkeypatch):
    # A rotation that is not a sign flip distinguishes a matrix from its transpose.
    seen, turn = (
        {},
        torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))[0],
    )
    monkeypatch.setattr("audit.evaluation.behavior.correlation.gauge_scramble", lambda *_: turn)

    def remember(A, B, a, b):
        seen[len(seen)] = (B, b)
        return latent_similarities(A, B, a, b)

    monkeypatch.setattr("audit.evaluation.behavior.correlation.latent_similarities", remember)
    plain = [dictionary(seed) for seed in (0, 1)]
    saes, data = stage_inputs(plain)
    correlate(CorrelationConfig(TOPK, (0, 1)), saes, data)
    decoder, codes = seen[2]
    mean = samples(1).mean(0)
    turned = plain[1].encode((samples() - mean) @ turn + mean)
    np.testing.assert_allclose(codes.values.toarray(), turned.numpy(), atol=1e-4)
    # Its readings of x along a row equal those of the plain dictionary of x M.
    x = samples() - mean
    torch.testing.assert_close(x @ decoder.T, (x @ turn) @ plain[1].decoder.T, atol=1e-4, rtol=0)


def test_a_copy_is_far_above_both_chance_levels():
    saes, data = stage_inputs([dictionary(1), dictionary(0), dictionary(0)])
    saes["seeds"] = np.array([4, 7, 2])
    found = correlate(CorrelationConfig(TOPK, (2, 7)), saes, data)
    value, gauge, shuffled = (
        found[level]["matched_correlation"][0, 1] for level in ("value", "gauge", "shuffled")
    )
    assert value == pytest.approx(1.0)
    assert shuffled < gauge < 0.9
    assert abs(found["shuffled"]["partner_correlation"][0, 1]) < 0.1


def test_all_pairs_except_the_diagonal_are_compared():
    saes, data = stage_inputs([dictionary(seed) for seed in (0, 1, 2)])
    found = correlate(CorrelationConfig(TOPK, (0, 1, 2)), saes, data)
    for level in ("value", "gauge", "shuffled"):
        table = found[level]["matched_correlation"]
        assert np.isnan(table.diagonal()).all()
        assert np.isfinite(table[~np.eye(3, dtype=bool)]).all()
        np.testing.assert_array_equal(table, table.T)
    assert found["value"]["binned_share"].shape == (3, 3, 10)
    live = [sparse_codes(dictionary(seed), samples()).live.sum() for seed in (0, 1, 2)]
    np.testing.assert_array_equal(found["live"], live)


def test_contexts_are_permuted_within_their_domain():
    domain = np.repeat([0, 1], [7, 5])
    order = _shuffled_tokens(domain, 12 * 3, seed=0)
    np.testing.assert_array_equal(np.sort(order), np.arange(36))
    contexts = order.reshape(12, 3)
    np.testing.assert_array_equal(contexts % 3, np.tile(np.arange(3), (12, 1)))
    np.testing.assert_array_equal(domain[contexts[:, 0] // 3], domain)
    assert (contexts[:, 0] // 3 != np.arange(12)).any()
