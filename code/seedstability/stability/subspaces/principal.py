"""Principal components, effective rank, and overlap of subspaces."""

from typing import NamedTuple

import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.errors import UserError

_ROWS_AT_ONCE = 8192


class PrincipalBasis(NamedTuple):
    """Principal components of samples, largest variance first, in double precision."""

    mean: Float[Tensor, " d"]
    """What was subtracted from the samples: their mean, or zeros."""
    directions: Float[Tensor, "d d"]
    """One component per row, orthonormal."""
    variances: Float[Tensor, " d"]
    """Variance along each component, in squared units of the samples."""
    floor: float
    """Variance up to which a component is only rounding of single precision."""

    @property
    def rank(self) -> int:
        """Number of components in which the data vary at all."""
        return int((self.variances > self.floor).sum())


class EffectiveRank(NamedTuple):
    """Three common definitions of the effective dimension of data; they differ by design."""

    participation: float
    """Participation ratio (Σ λ)² / Σ λ²."""
    entropy: float
    """exp of the entropy of λ / Σ λ (Roy & Vetterli 2007, there on singular values)."""
    ninety_nine: int
    """Number of components that explain 99% of the variance."""


def principal_basis(x: Float[Tensor, "samples d"], center: bool = True) -> PrincipalBasis:
    """Principal components of `x`.

    Args:
        x: samples of any floating type.
        center: subtract the mean first. Otherwise second moments about 0 replace variances.

    Raises:
        UserError: for fewer than two samples, or entries that are not finite.
    """
    if x.ndim != 2 or len(x) < 2 or not torch.isfinite(x).all():
        raise UserError(
            f"samples have shape {tuple(x.shape)}; need [samples, width] with at least 2 samples, "
            "all finite"
        )
    x = x.double()
    mean = x.mean(dim=0) if center else torch.zeros_like(x[0])
    centered = x - mean
    covariance = centered.T @ centered / (len(x) - 1)
    return principal_basis_from_moments(mean, covariance, x.square().sum(dim=1).mean().item())


def principal_basis_from_moments(
    mean: Float[Tensor, " d"], covariance: Float[Tensor, "d d"], mean_square: float
) -> PrincipalBasis:
    """As `principal_basis`, from moments of streamed samples in double precision.

    Args:
        mean: what was subtracted from the samples.
        covariance: their second moments about `mean`.
        mean_square: mean squared length of the samples, without subtracting the mean.
    """
    variances, directions = torch.linalg.eigh(covariance)
    # Activations are sums in single precision: below about 16 units in the last place of a typical
    # sample there is only rounding.
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
    """As `effective_rank`, from components already computed."""
    variances = basis.variances[: basis.rank]
    if len(variances) == 0:
        raise UserError("all samples are the same; an effective rank needs samples that differ")
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
    """Project the rows of `W` on the first `rank` components, by default the span of the data.

    Raises:
        UserError: for a rank that is not between 1 and the width.
    """
    rank = basis.rank if rank is None else rank
    if not 1 <= rank <= len(basis.directions):
        raise UserError(f"the rank is {rank}; it must be between 1 and {len(basis.directions)}")
    directions = basis.directions[:rank].to(W.dtype)
    return W @ directions.T @ directions


def top_subspace(W: Float[Tensor, "n d"], k: int) -> Float[Tensor, "k d"]:
    """The `k` leading right singular vectors of `W`, about 0 and not about the mean.

    Raises:
        UserError: when `W` cannot span `k` directions.
    """
    if not 1 <= k <= min(W.shape):
        raise UserError(f"{tuple(W.shape)} rows and columns have no {k}-dimensional subspace")
    return leading_directions(second_moments(W), k)


def leading_directions(moments: Float[Tensor, "d d"], k: int) -> Float[Tensor, "k d"]:
    """As `top_subspace`, from `second_moments`: without the n × d factor of an SVD."""
    return torch.linalg.eigh(moments).eigenvectors.T.flip(0)[:k]


def second_moments(W: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """Wᵀ W in double precision, a block of rows at a time."""
    total = torch.zeros(W.shape[1], W.shape[1], dtype=torch.float64)
    for rows in W.split(_ROWS_AT_ONCE):
        rows = rows.double()
        total += rows.T @ rows
    return total


def principal_angles(A: Float[Tensor, "k_a d"], B: Float[Tensor, "k_b d"]) -> Float[Tensor, " k"]:
    """Principal angles in radians between the row spans of `A` and `B`, smallest first.

    There are as many as the smaller span has dimensions. Small angles are accurate too, unlike with
    an arc cosine (Knyazev & Argentati 2002, as in SciPy).
    """
    a, b = A.detach().cpu().double().numpy(), B.detach().cpu().double().numpy()
    angles = scipy.linalg.subspace_angles(a.T, b.T)
    return torch.from_numpy(angles).flip(0)


def subspace_overlap(A: Float[Tensor, "k_a d"], B: Float[Tensor, "k_b d"]) -> float:
    """Mean squared cosine of the principal angles: 1 for nested spans, 0 for orthogonal ones."""
    return principal_angles(A, B).cos().square().mean().item()


def chance_subspace_overlap(k_a: int, k_b: int, d: int) -> float:
    """Expected `subspace_overlap` of two unrelated subspaces of R^`d`.

    E‖P_A P_B‖² = k_A k_B / d, divided by the number of angles, min(k_A, k_B).
    """
    if not (1 <= k_a <= d and 1 <= k_b <= d):
        raise ValueError(f"no subspaces of {k_a} and {k_b} dimensions fit into {d}")
    return max(k_a, k_b) / d
