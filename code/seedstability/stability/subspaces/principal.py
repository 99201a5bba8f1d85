"""Subspaces: where the data live, what dictionaries span, and how far two spans agree."""

from typing import NamedTuple

import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.errors import UserError

_ROWS_AT_ONCE = 8192


class PrincipalBasis(NamedTuple):
    """Principal components of samples, largest variance first, in double precision."""

    mean: Float[Tensor, "d"]
    """What was taken out of the samples: their mean, or zeros."""
    directions: Float[Tensor, "d d"]
    """One component a row, orthonormal."""
    variances: Float[Tensor, "d"]
    """Variance along each component, in the samples' units squared."""
    floor: float
    """Variance up to which a component is rounding of single precision and not data."""

    @property
    def rank(self) -> int:
        """Components in which the data vary at all."""
        return int((self.variances > self.floor).sum())


class EffectiveRank(NamedTuple):
    """Three usual answers to "in how many dimensions do the data live"; they differ by design."""

    participation: float
    """(Σ λ)² / Σ λ²: components of equal variance that would give the same concentration."""
    entropy: float
    """exp of the entropy of λ / Σ λ (Roy & Vetterli 2007, there on singular values)."""
    ninety_nine: int
    """Components that hold 99% of the variance."""


def principal_basis(x: Float[Tensor, "samples d"], centre: bool = True) -> PrincipalBasis:
    """Principal components of `x`.

    Args:
        x: samples of any floating type.
        centre: takes the mean out first. Without, second moments about 0 stand for variances.

    Raises:
        UserError: for fewer than two samples or entries that are no numbers.
    """
    if x.ndim != 2 or len(x) < 2 or not torch.isfinite(x).all():
        raise UserError(
            f"samples have shape {tuple(x.shape)}; need [samples, width] with at least 2 samples, "
            "all finite"
        )
    x = x.double()
    mean = x.mean(dim=0) if centre else torch.zeros_like(x[0])
    centred = x - mean
    covariance = centred.T @ centred / (len(x) - 1)
    return principal_basis_from_moments(mean, covariance, x.square().sum(dim=1).mean().item())


def principal_basis_from_moments(
    mean: Float[Tensor, "d"], covariance: Float[Tensor, "d d"], mean_square: float
) -> PrincipalBasis:
    """As `principal_basis`, from moments in double precision taken of samples that were streamed.

    Args:
        mean: what was taken out of the samples.
        covariance: their second moments about it.
        mean_square: mean squared length of the samples, the mean not taken out.
    """
    variances, directions = torch.linalg.eigh(covariance)
    # Activations come in single precision, after a few sums: below some 16 units in the last
    # place of a typical sample there is only rounding.
    ulp = 16.0 * torch.finfo(torch.float32).eps
    floor = ulp**2 * mean_square
    return PrincipalBasis(mean, directions.T.flip(0), variances.flip(0).clamp(min=0.0), floor)


def effective_rank(x: Float[Tensor, "samples d"]) -> EffectiveRank:
    """Effective rank of the covariance of `x`, in three definitions.

    Raises:
        UserError: when all samples are the same.
    """
    return effective_rank_from_basis(principal_basis(x))


def effective_rank_from_basis(basis: PrincipalBasis) -> EffectiveRank:
    """As `effective_rank`, from components already at hand."""
    variances = basis.variances[: basis.rank]
    if len(variances) == 0:
        raise UserError("all samples are the same; they have no rank")
    share = variances / variances.sum()
    ninety_nine = int((share.cumsum(0) < 0.99).sum()) + 1
    return EffectiveRank(
        participation=(1.0 / share.square().sum()).item(),
        entropy=torch.exp(-(share * share.log()).sum()).item(),
        ninety_nine=ninety_nine,
    )


def project_on_span(
    W: Float[Tensor, "n d"], basis: PrincipalBasis, rank: int | None = None
) -> Float[Tensor, "n d"]:
    """Rows of `W` without what sticks out of the first `rank` components (left out: all data's).

    Raises:
        UserError: for a rank that the space does not have.
    """
    rank = basis.rank if rank is None else rank
    if not 1 <= rank <= len(basis.directions):
        raise UserError(f"the rank is {rank}; it must be between 1 and {len(basis.directions)}")
    directions = basis.directions[:rank].to(W.dtype)
    return W @ directions.T @ directions


def top_subspace(W: Float[Tensor, "n d"], k: int) -> Float[Tensor, "k d"]:
    """The `k` orthonormal directions that hold most of the rows of `W` (about 0, not their mean).

    Raises:
        UserError: when `W` cannot span `k` directions.
    """
    if not 1 <= k <= min(W.shape):
        raise UserError(f"{tuple(W.shape)} rows and columns have no {k}-dimensional subspace")
    return leading_directions(second_moments(W), k)


def leading_directions(moments: Float[Tensor, "d d"], k: int) -> Float[Tensor, "k d"]:
    """As `top_subspace`, from `second_moments`: without the n × d factor that an SVD would make."""
    return torch.linalg.eigh(moments).eigenvectors.T.flip(0)[:k]


def second_moments(W: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """Wᵀ W in double precision, a block of rows at a time."""
    total = torch.zeros(W.shape[1], W.shape[1], dtype=torch.float64)
    for rows in W.split(_ROWS_AT_ONCE):
        rows = rows.double()
        total += rows.T @ rows
    return total


def principal_angles(A: Float[Tensor, "k_a d"], B: Float[Tensor, "k_b d"]) -> Float[Tensor, "k"]:
    """Angles in radians between the spans of the rows of `A` and of `B`, smallest first.

    As many as the smaller span has dimensions. Accurate for small angles too, where an arc
    cosine would not be (Knyazev & Argentati 2002, as in SciPy).
    """
    a, b = A.detach().cpu().double().numpy(), B.detach().cpu().double().numpy()
    angles = scipy.linalg.subspace_angles(a.T, b.T)
    return torch.from_numpy(angles).flip(0)


def subspace_overlap(A: Float[Tensor, "k_a d"], B: Float[Tensor, "k_b d"]) -> float:
    """Mean squared cosine of the principal angles: 1 for equal or nested spans, 0 for none."""
    return principal_angles(A, B).cos().square().mean().item()


def chance_subspace_overlap(k_a: int, k_b: int, d: int) -> float:
    """Expected `subspace_overlap` of two unrelated subspaces of R^`d`.

    E‖P_A P_B‖² = k_A k_B / d is shared out over the min(k_A, k_B) angles.
    """
    if not (1 <= k_a <= d and 1 <= k_b <= d):
        raise ValueError(f"no subspaces of {k_a} and {k_b} dimensions fit into {d}")
    return max(k_a, k_b) / d
