"""Spans of groups of latents: how many dimensions they fill, and how far two of them agree.

Rows are taken at length one and about 0, not about their mean: a latent's direction counts, not
its distance from the others.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import leading_directions, second_moments


def unit_row_moments(W: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """Second moments of the rows at length one, in double precision."""
    return second_moments(normalize_rows(W))


def span(W: Float[Tensor, "n d"], k: int) -> Float[Tensor, "k d"]:
    """The k orthonormal directions that hold most of the rows, the first holding most.

    Raises:
        ValueError: when the rows cannot fill k directions.
    """
    if not 1 <= k <= min(W.shape):
        raise ValueError(f"{tuple(W.shape)} rows and columns have no {k}-dimensional span")
    return leading_directions(unit_row_moments(W), k)


def overlap(A: Float[Tensor, "k_a d"], B: Float[Tensor, "k_b d"]) -> float:
    """Mean squared cosine of the principal angles of two orthonormal bases: ‖A Bᵀ‖² / min(k).

    As `subspaces.subspace_overlap`, which takes any bases and is a hundred times slower.
    """
    return ((A @ B.T).square().sum() / min(len(A), len(B))).item()


def participation(moments: Float[Tensor, "d d"]) -> float:
    """(Σ λ)² / Σ λ²: as many dimensions of equal weight would be as concentrated."""
    return (moments.trace().square() / moments.square().sum()).item()


def dimensions_for_share(moments: Float[Tensor, "d d"], share: float) -> int:
    """Leading directions that together hold at least this share."""
    falling = torch.linalg.eigvalsh(moments).flip(0).clamp(min=0.0).cumsum(0)
    return int((falling < share * falling[-1]).sum()) + 1


def partners_only_null(
    A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"], gauge: GaugeBasis, generator: Generator
) -> Float[Tensor, "n_b d"]:
    """`B` as it would be if it had nothing in common with `A` but single partners.

    Each row b keeps its best partner a in `A` and its cosine c with it; what it has beside that,
    b − c a, goes through one random symmetry of the data, the same for all rows, and is made
    orthogonal to a again at its old length. If spans of such a dictionary agree as well with `A`'s
    as `B`'s do, their agreement is that of single latents, and no subspace comes back beyond them.

    Args:
        A, B: rows of length one.
        gauge: symmetries of the data's second moments.
        generator: draws one.
    """
    best = (A @ B.T).max(dim=0)
    partner, c = A[best.indices].double(), best.values.double()[:, None]
    rest = gauge_scramble(B.double() - c * partner, gauge, generator)
    rest = normalize_rows(rest - (rest * partner).sum(dim=1, keepdim=True) * partner)
    return c * partner + (1 - c.square()).clamp(min=0.0).sqrt() * rest


def residual_moments(
    covariance: Float[Tensor, "d d"], basis: Float[Tensor, "k d"]
) -> Float[Tensor, "d d"]:
    """Second moments of what is left of the data when their part in a span is taken out."""
    kept = torch.eye(len(covariance), dtype=covariance.dtype) - basis.T @ basis
    return kept @ covariance @ kept
