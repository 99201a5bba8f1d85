"""Properties of the similarities of any two dictionaries."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pair_similarities import pair_similarities
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import cosines, max_abs_cosine, max_cosine
from seedstability.stability.matching.match import match

# The products are small, so that a second thread costs more than it gains.
torch.set_num_threads(1)

seeds = st.integers(0, 2**31)
sizes = st.integers(1, 40)
widths = st.integers(2, 12)
quick = settings(max_examples=40, deadline=None, derandomize=True)


def normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(d, seed):
    return torch.linalg.qr(normal(d, d, seed)).Q


def as_array(similarity):
    return np.array(similarity)


@quick
@given(sizes, sizes, widths, seeds)
def test_similarities_do_not_depend_on_the_order_of_latents(n_a, n_b, d, seed):
    A, B = normal(n_a, d, seed), normal(n_b, d, seed + 1)
    shuffle = torch.Generator().manual_seed(seed)
    shuffled = pair_similarities(
        A[torch.randperm(n_a, generator=shuffle)], B[torch.randperm(n_b, generator=shuffle)]
    )
    np.testing.assert_allclose(as_array(shuffled), as_array(pair_similarities(A, B)), atol=1e-12)


@quick
@given(sizes, sizes, widths, seeds)
def test_similarities_do_not_depend_on_a_joint_rotation(n_a, n_b, d, seed):
    A, B, Q = normal(n_a, d, seed), normal(n_b, d, seed + 1), rotation(d, seed + 2)
    np.testing.assert_allclose(
        as_array(pair_similarities(A @ Q, B @ Q)), as_array(pair_similarities(A, B)), atol=1e-9
    )


@quick
@given(sizes, sizes, widths, seeds)
def test_similarities_do_not_depend_on_lengths_nor_on_which_comes_first(n_a, n_b, d, seed):
    A, B = normal(n_a, d, seed), normal(n_b, d, seed + 1)
    lengths = normal(n_b, 1, seed + 2).exp()
    np.testing.assert_allclose(
        as_array(pair_similarities(B * lengths, A)), as_array(pair_similarities(A, B)), atol=1e-12
    )


@quick
@given(sizes, widths, seeds)
def test_dictionary_matches_itself(n, d, seed):
    A = normal(n, d, seed)
    assert max_cosine(A, A) == pytest.approx(1.0)
    assert max_abs_cosine(A, -A) == pytest.approx(1.0)
    assert match(A, A).partner.tolist() == list(range(n))


@quick
@given(st.integers(1, 7), st.integers(1, 7), st.integers(2, 4), seeds)
def test_assignment_equals_brute_force(n_a, n_b, d, seed):
    A, B = normal(n_a, d, seed), normal(n_b, d, seed + 1)
    S = cosines(A, B).numpy()
    small, large = (S, S.shape) if n_a <= n_b else (S.T, S.T.shape)
    rows = np.arange(large[0])
    best = max(
        small[rows, list(chosen)].sum() for chosen in permutations(range(large[1]), large[0])
    )

    matching = match(A, B)
    matched = matching.partner >= 0
    assert matching.total == pytest.approx(best, abs=1e-12)
    assert matched.sum() == min(n_a, n_b)
    assert len(set(matching.partner[matched].tolist())) == min(n_a, n_b)
    chosen = S[np.flatnonzero(matched), matching.partner[matched]]
    np.testing.assert_allclose(matching.matched_cosines, chosen)
    assert torch.isnan(matching.cosine[~matched]).all()


@quick
@given(st.integers(1, 20), st.integers(2, 10), st.integers(12, 200), seeds)
def test_gauge_scramble_keeps_second_moments(n, d, samples, seed):
    x = normal(samples, d, seed)
    x[:, d // 2 :] *= 10.0  # two runs of equal variances
    B = normal(n, d, seed + 1)
    basis = GaugeBasis.from_activations(x)
    scrambled = gauge_scramble(B, basis, torch.Generator().manual_seed(seed))
    torch.testing.assert_close(scrambled @ scrambled.T, B @ B.T)
    spent = [
        torch.linalg.vector_norm(W @ basis.directions[a:b].T)
        for W in (B, scrambled)
        for a, b in basis.clusters
    ]
    half = len(basis.clusters)
    torch.testing.assert_close(torch.stack(spent[:half]), torch.stack(spent[half:]))
