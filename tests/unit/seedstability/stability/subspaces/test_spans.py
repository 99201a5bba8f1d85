"""Spans of groups of latents: dimensions, overlaps, and the partners-only null."""

import pytest
import torch

from seedstability.stability.chance.null_models import GaugeBasis, isotropic
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import leading_directions, subspace_overlap
from seedstability.stability.subspaces.spans import (
    dimensions_for_share,
    overlap,
    participation,
    partners_only_null,
    residual_moments,
    unit_row_moments,
)

D = 48


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gauge(seed=0):
    x = torch.randn(4000, D, generator=generator(seed)) * torch.linspace(2.0, 0.5, D)
    return GaugeBasis.from_activations(x)


def block(n, dimensions, seed):
    """`n` directions in the first coordinates."""
    W = torch.zeros(n, D)
    W[:, :dimensions] = torch.randn(n, dimensions, generator=generator(seed))
    return normalize_rows(W)


def span(W, k):
    return leading_directions(unit_row_moments(W), k)


def test_overlap_is_the_mean_squared_cosine_of_principal_angles():
    for k_a, k_b, seed in ((5, 5, 0), (3, 9, 1), (12, 4, 2)):
        A, B = (span(isotropic(30, D, generator(seed + s)), k) for s, k in ((0, k_a), (9, k_b)))
        assert overlap(A, B) == pytest.approx(subspace_overlap(A, B), abs=1e-10)


def test_different_bases_of_one_subspace_have_overlap_one():
    A, B = (span(block(20, 6, seed), 6) for seed in (0, 1))
    assert overlap(A, B) == pytest.approx(1.0, abs=1e-9)
    assert (normalize_rows(block(20, 6, 0)) @ block(20, 6, 1).T).abs().mean() < 0.5


def test_participation_and_dimensions_of_known_directions():
    moments = unit_row_moments(torch.eye(D)[:10].repeat(7, 1) * 3.0)
    assert participation(moments) == pytest.approx(10.0)
    assert dimensions_for_share(moments, 0.85) == 9
    assert dimensions_for_share(moments, 0.95) == 10


def test_partners_only_null_keeps_cosines_and_randomizes_the_rest():
    A, B = isotropic(30, D, generator(0)), isotropic(30, D, generator(1))
    alone = partners_only_null(A, B, gauge(), generator(2))
    best = (A @ B.T).max(dim=0)
    kept = (A[best.indices].double() * alone).sum(dim=1)
    assert torch.allclose(kept, best.values.double(), atol=1e-6)
    assert torch.allclose(alone.norm(dim=1), torch.ones(30, dtype=torch.float64), atol=1e-6)
    assert (alone - B).norm(dim=1).min() > 0.1


def test_partners_only_null_of_shared_latents_is_the_dictionary():
    A = isotropic(20, D, generator(0))
    alone = partners_only_null(A, A.flip(0), gauge(), generator(1))
    assert torch.allclose(alone, A.flip(0).double(), atol=1e-3)


def test_partners_only_null_does_not_explain_a_shared_subspace():
    A, B = block(14, 12, 0), block(14, 12, 1)
    shared = overlap(span(A, 12), span(B, 12))
    alone = partners_only_null(A, B, gauge(), generator(2))
    assert shared == pytest.approx(1.0, abs=1e-6)
    assert overlap(span(A, 12), span(alone.float(), 12)) < 0.9


def test_residual_moments_are_zero_inside_the_span_and_unchanged_outside():
    root = torch.randn(D, D, generator=generator(), dtype=torch.float64)
    covariance = root @ root.T
    basis = torch.eye(D, dtype=torch.float64)[:10]
    rest = residual_moments(covariance, basis)
    assert rest[:10].abs().max() == 0.0
    assert rest[:, :10].abs().max() == 0.0
    assert torch.equal(rest[10:, 10:], covariance[10:, 10:])
