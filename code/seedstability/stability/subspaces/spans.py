"""Spans of groups of latents: their dimension and their overlap.

Rows are scaled to length 1 and not centered, so that only a latent's direction counts.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import second_moments


def unit_row_moments(W: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """Second moments of the rows scaled to length 1, in double precision."""
    return second_moments(normalize_rows(W))


def overlap(A: Float[Tensor, "k_a d"], B: Float[Tensor, "k_b d"]) -> float:
    """Mean squared cosine of the principal angles of two orthonormal bases: ‖A Bᵀ‖² / min(k).

    As `principal.subspace_overlap`, which accepts any bases and is a hundred times slower.
    """
    return ((A @ B.T).square().sum() / min(len(A), len(B))).item()


def participation(moments: Float[Tensor, "d d"]) -> float:
    """Participation ratio (Σ λ)² / Σ λ² of the eigenvalues."""
    return (moments.trace().square() / moments.square().sum()).item()


def dimensions_for_share(moments: Float[Tensor, "d d"], share: float) -> int:
    """Number of leading directions that hold at least this share of the trace."""
    falling = torch.linalg.eigvalsh(moments).flip(0).clamp(min=0.0).cumsum(0)
    return int((falling < share * falling[-1]).sum()) + 1


def partners_only_null(
    A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"], gauge: GaugeBasis, generator: Generator
) -> Float[Tensor, "n_b d"]:
    """Null model in which `B` shares nothing with `A` but the nearest partner of each row.

    Each row b keeps its nearest partner a in `A` and its cosine c with it. The rest, b − c a, goes
    through one random symmetry of the data, the same for all rows, and is made orthogonal to a
    again at its old length. If spans of the null overlap with `A` as much as spans of `B` do,
    single latents explain the overlap, and no subspace recurs beyond them.

    Args:
        A, B: rows of length 1.
        gauge: symmetries of the data's second moments.
        generator: draws one symmetry.
    """
    best = (A @ B.T).max(dim=0)
    partner, c = A[best.indices].double(), best.values.double()[:, None]
    rest = gauge_scramble(B.double() - c * partner, gauge, generator)
    rest = normalize_rows(rest - (rest * partner).sum(dim=1, keepdim=True) * partner)
    return c * partner + (1 - c.square()).clamp(min=0.0).sqrt() * rest


def residual_moments(
    covariance: Float[Tensor, "d d"], basis: Float[Tensor, "k d"]
) -> Float[Tensor, "d d"]:
    """Second moments of the data after projecting out a span."""
    kept = torch.eye(len(covariance), dtype=covariance.dtype) - basis.T @ basis
    return kept @ covariance @ kept
