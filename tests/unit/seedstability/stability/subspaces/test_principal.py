"""Principal components, effective rank, and overlap of subspaces."""

import math

import pytest
import torch

from seedstability.errors import UserError
from seedstability.stability.subspaces.principal import (
    chance_subspace_overlap,
    effective_rank,
    effective_rank_from_basis,
    principal_angles,
    principal_basis,
    project_on_span,
    subspace_overlap,
    top_subspace,
)

# Small products: a second thread costs more than it saves.
torch.set_num_threads(1)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_principal_basis_by_hand():
    x = torch.tensor([[1.0, 1.0, 7.0], [-1.0, -1.0, 7.0], [0.5, -0.5, 7.0], [-0.5, 0.5, 7.0]])
    basis = principal_basis(x)
    assert basis.mean.tolist() == [0.0, 0.0, 7.0]
    assert basis.variances.tolist() == pytest.approx([4 / 3, 1 / 3, 0.0])
    assert basis.directions[0].abs().tolist() == pytest.approx([math.sqrt(0.5)] * 2 + [0.0])
    assert basis.rank == 2
    assert principal_basis(x, center=False).rank == 3


def test_rounding_of_single_precision_is_not_rank():
    low = normal(500, 5) @ normal(5, 40, seed=1) + 3.0
    assert principal_basis(low).rank == 5
    assert principal_basis(1e-6 * low).rank == 5
    assert principal_basis(low + 1e-4 * normal(500, 40, seed=2)).rank == 40


def test_effective_ranks_of_equal_variances_are_their_number():
    signs = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    ranks = effective_rank(torch.cat([signs, torch.zeros(4, 2)], dim=1))
    assert ranks == pytest.approx((3.0, 3.0, 3))


def test_effective_ranks_of_a_known_spectrum():
    basis = principal_basis(normal(20, 4))._replace(
        variances=torch.tensor([0.9, 0.085, 0.01, 0.005], dtype=torch.float64)
    )
    ranks = effective_rank_from_basis(basis)
    assert ranks.participation == pytest.approx(1 / (0.81 + 0.085**2 + 1e-4 + 2.5e-5))
    entropy = -sum(v * math.log(v) for v in (0.9, 0.085, 0.01, 0.005))
    assert ranks.entropy == pytest.approx(math.exp(entropy))
    assert ranks.ninety_nine == 3


def test_projection_keeps_the_span_and_removes_the_rest():
    x = torch.zeros(50, 4)
    x[:, :2] = normal(50, 2) * torch.tensor([3.0, 1.0])
    basis = principal_basis(x)
    W = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    torch.testing.assert_close(project_on_span(W, basis), torch.tensor([[1.0, 2.0, 0.0, 0.0]]))
    first = project_on_span(W, basis, rank=1)
    torch.testing.assert_close(project_on_span(first, basis, rank=1), first)
    assert torch.linalg.vector_norm(first) < torch.linalg.vector_norm(W[:, :2])
    torch.testing.assert_close(project_on_span(W, basis, rank=4), W)
    for rank in (0, 5):
        with pytest.raises(UserError, match="between 1 and 4"):
            project_on_span(W, basis, rank)


def test_principal_angles_by_hand_and_for_tiny_angles():
    A = torch.eye(3)[:2]
    B = torch.tensor([[1.0, 0.0, 0.0], [0.0, math.cos(0.3), math.sin(0.3)]])
    assert principal_angles(A, B).tolist() == pytest.approx([0.0, 0.3], abs=1e-7)
    tiny = torch.tensor([[1.0, 1e-9, 0.0]], dtype=torch.float64)
    assert principal_angles(torch.eye(3)[:1], tiny).item() == pytest.approx(1e-9, rel=1e-3)


def test_overlap_of_equal_nested_and_orthogonal_spans():
    A = normal(2, 6)
    assert subspace_overlap(A, normal(2, 2, seed=1) @ A) == pytest.approx(1.0)
    assert subspace_overlap(A, torch.cat([A, normal(2, 6, seed=2)])) == pytest.approx(1.0)
    assert subspace_overlap(torch.eye(4)[:2], torch.eye(4)[2:]) == pytest.approx(0.0)


@pytest.mark.parametrize(("k_a", "k_b"), [(8, 8), (4, 12)])
def test_overlap_of_unrelated_spans_equals_its_closed_form(k_a, k_b):
    drawn = [
        subspace_overlap(normal(k_a, 64, seed=2 * s), normal(k_b, 64, seed=2 * s + 1))
        for s in range(60)
    ]
    assert sum(drawn) / 60 == pytest.approx(chance_subspace_overlap(k_a, k_b, 64), abs=0.01)


def test_chance_overlap_of_the_report():
    # definitions.md §6: 0.063 for the top 8 directions of 128.
    assert round(chance_subspace_overlap(8, 8, 128), 4) == 0.0625
    with pytest.raises(ValueError, match="fit into 4"):
        chance_subspace_overlap(5, 1, 4)


def test_top_subspace_spans_the_leading_directions():
    W = normal(30, 6) * torch.tensor([10.0, 9.0, 1.0, 1.0, 1.0, 1.0])
    assert subspace_overlap(top_subspace(W, 2), torch.eye(6)[:2]) > 0.97
    assert top_subspace(W, 2).shape == (2, 6)
    for k in (0, 7):
        with pytest.raises(UserError, match="dimensional subspace"):
            top_subspace(W, k)


def test_degenerate_samples_are_refused():
    for bad in (torch.ones(1, 3), torch.ones(3), torch.full((4, 2), math.nan)):
        with pytest.raises(UserError, match="at least 2 samples"):
            principal_basis(bad)
    with pytest.raises(UserError, match="all samples are the same"):
        effective_rank(torch.ones(5, 3))
