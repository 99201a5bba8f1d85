"""Similarities and one-to-one matching: known answers, certificates, invalid inputs."""

import math

import numpy as np
import pytest
import torch

from helpers.pair_similarities import pair_similarities
from helpers.stability_data import half_shared_with_hubs
from seedstability.errors import UserError
from seedstability.stability.cosine import cosines, max_abs_cosine, max_cosine, normalize_rows
from seedstability.stability.matching import match as matching
from seedstability.stability.matching.match import agreement, match

# Small products: a second thread costs more than it saves.
torch.set_num_threads(1)

EYE = torch.eye(3)


def test_max_cosines_by_hand():
    A = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    B = torch.tensor([[-3.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    half = math.sqrt(0.5)
    # A to B: ½√2 and 1; B to A: 0, ½√2 and 1.
    assert max_cosine(A, B) == pytest.approx(((half + 1) / 2 + (half + 1) / 3) / 2)
    assert max_abs_cosine(A, B) == pytest.approx((1 + (2 + half) / 3) / 2)


def test_matching_is_one_to_one_where_maxima_are_not():
    A = torch.tensor([[1.0, 0.0], [0.9, 0.1]])
    B = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert cosines(A, B).argmax(dim=1).tolist() == [0, 0]
    assert match(A, B).partner.tolist() == [0, 1]


def test_unmatched_latents_have_no_partner():
    A = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    matching = match(A, EYE[:2])
    assert matching.partner.tolist() == [-1, 1, 0]
    assert torch.isnan(matching.cosine[0])
    assert matching.total == pytest.approx(2.0)
    assert match(EYE[:2], A).partner.tolist() == [2, 1]
    assert pair_similarities(A, EYE[:2]).matched_median == pytest.approx(1.0)


def test_similarities_of_single_latents():
    similarity = pair_similarities(torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, -1.0]]))
    assert similarity.max_cosine == pytest.approx(-math.sqrt(0.5))
    assert similarity.max_abs_cosine == pytest.approx(math.sqrt(0.5))
    assert similarity.matched_best == similarity.matched_median == similarity.matched_q05


def test_rows_of_zeros_have_cosine_zero():
    A = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    assert normalize_rows(A).tolist() == A.tolist()
    assert max_cosine(A, A) == pytest.approx(0.5)
    assert match(A, A).partner.tolist() == [0, 1]
    assert match(A, A).total == pytest.approx(1.0)


def test_very_short_and_very_long_rows_keep_their_direction():
    for size in (1e-30, 1e-42, 1e30):
        rows = normalize_rows(torch.tensor([[size, size]]))
        torch.testing.assert_close(rows, torch.full((1, 2), math.sqrt(0.5)))


def test_half_precision_integers_and_mixed_types_are_compared():
    for B in (EYE.half(), EYE.bfloat16(), EYE.long(), EYE.double()):
        assert max_cosine(EYE, B) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_entries_are_refused_with_their_row(bad):
    B = EYE.clone()
    B[1, 2] = bad
    for function in (max_cosine, max_abs_cosine, match, pair_similarities):
        with pytest.raises(UserError, match=r"row 1 .* finite"):
            function(EYE, B)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,), (1, 3, 3)])
def test_invalid_shapes_are_refused(shape):
    with pytest.raises(UserError, match="must be \\[latents, width\\]"):
        match(torch.ones(shape), EYE)


def test_different_widths_are_refused_in_one_line():
    with pytest.raises(UserError, match="width 3 with one of width 4") as refusal:
        max_cosine(EYE, torch.eye(4))
    assert "\n" not in str(refusal.value)


def agreement_of(dec_a, dec_b, enc_a, enc_b, threshold=0.7):
    return agreement(match(dec_a, dec_b), match(enc_a, enc_b), threshold)


def test_shared_needs_the_same_partner_and_both_cosines_above_threshold():
    # Latent 0: same partner, both cosines 1. Latent 1: same partner, encoder cosine below 0.7.
    # Latents 2 and 3: the encoders swap them.
    decoders = torch.eye(4)
    encoders = torch.eye(4)[[0, 1, 3, 2]]
    encoders[1] = torch.tensor([0.8, 0.8, 0.3, 0.0])
    four = (decoders, decoders, torch.eye(4), encoders)
    found = agreement_of(*four)
    assert found.shared.tolist() == [True, False, False, False]
    assert found.agreeing.tolist() == [True, True, False, False]
    assert found.shared_decoder_only.tolist() == [True] * 4
    assert agreement_of(*four, threshold=0.65).shared.tolist() == [True, True, False, False]


def test_shared_needs_the_decoder_cosine_above_threshold():
    decoders = torch.eye(2)
    tilted = torch.tensor([[1.0, 0.0], [1.0, 0.9]])
    found = agreement_of(decoders, tilted, decoders, decoders)
    assert found.shared.tolist() == [True, False]
    assert found.shared_decoder_only.tolist() == [True, False]


def test_latents_without_partner_neither_agree_nor_are_shared():
    two = EYE[:2]
    found = agreement_of(EYE, two, EYE, two)
    assert found.agreeing.tolist() == [True, True, False]
    assert found.shared.tolist() == [True, True, False]
    with pytest.raises(UserError, match="one row per latent"):
        agreement_of(EYE, two, two, two)


def test_pair_similarities_equal_the_separate_functions():
    generator = torch.Generator().manual_seed(0)
    A, B = torch.randn(40, 6, generator=generator), torch.randn(30, 6, generator=generator)
    similarity = pair_similarities(A, B)
    matched = match(A, B).matched_cosines.numpy()
    assert similarity.max_cosine == max_cosine(A, B)
    assert similarity.max_abs_cosine == max_abs_cosine(A, B)
    np.testing.assert_allclose(
        [similarity.matched_mean, similarity.matched_median, similarity.matched_best],
        [matched.mean(), np.median(matched), matched.max()],
        rtol=1e-6,
    )
    quantiles = similarity[4:8]
    np.testing.assert_allclose(quantiles, np.quantile(matched, [0.05, 0.25, 0.75, 0.95]), rtol=1e-5)
    shares = similarity[9:]
    np.testing.assert_allclose(shares, [(matched >= level).mean() for level in (0.5, 0.7, 0.9)])


@pytest.mark.parametrize("small", [0, 1 << 40])
@pytest.mark.parametrize("shape", [(120, 120), (90, 120), (120, 90), (1, 1)])
def test_both_solvers_return_a_valid_certificate(small, shape, monkeypatch):
    monkeypatch.setattr(matching, "_SMALL", small)
    A, B = half_shared_with_hubs(120, 16)
    A, B = 3.0 * A[: shape[0]], B[: shape[1]]
    found = match(A, B)
    S = cosines(A, B).double()
    assert (S - found.prices.of_a[:, None] - found.prices.of_b).max() < 1e-6
    assert found.bound < 1e-6
    assert found.prices.of_a.sum() + found.prices.of_b.sum() == pytest.approx(found.total, abs=1e-6)
    assert (found.passes > 0) == (small == 0)
    torch.testing.assert_close(
        found.matched_cosines,
        S[found.partner >= 0].float()[torch.arange(min(shape)), found.partner[found.partner >= 0]],
    )


def test_large_and_small_problem_solvers_agree(monkeypatch):
    A, B = half_shared_with_hubs(300, 16)
    small = match(A, B[:250])
    monkeypatch.setattr(matching, "_SMALL", 0)
    large = match(A, B[:250])
    assert large.partner.tolist() == small.partner.tolist()
    torch.testing.assert_close(large.cosine, small.cosine, equal_nan=True)
    assert large.total == pytest.approx(small.total, abs=1e-4)


def test_certificate_is_returned_only_on_request(monkeypatch):
    A, B = half_shared_with_hubs(50, 8)
    for small in (0, 1 << 40):
        monkeypatch.setattr(matching, "_SMALL", small)
        plain = match(A, B, certify=False)
        assert plain.prices is None
        assert math.isnan(plain.bound)
        assert plain.partner.tolist() == match(A, B).partner.tolist()


def test_infeasible_prices_are_raised_until_feasible(monkeypatch):
    poor = np.zeros(50), np.zeros(50)
    monkeypatch.setattr(matching, "dual_prices", lambda S, partner: poor)
    A, B = half_shared_with_hubs(50, 8)
    found = match(A, B)
    S = cosines(A, B).double()
    assert (S - found.prices.of_a[:, None] - found.prices.of_b).max() <= 0
    assert found.bound > 1


def test_invalid_dictionaries_are_refused_at_any_size(monkeypatch):
    monkeypatch.setattr(matching, "_SMALL", 0)
    A, B = half_shared_with_hubs(50, 8)
    with pytest.raises(UserError, match="width 8 with one of width 7"):
        match(A, B[:, :7])
    A[3, 2] = math.nan
    with pytest.raises(UserError, match=r"row 3 .* finite"):
        match(A, B)
