"""Null models: random dictionaries for the chance levels of definitions.md §2.

`isotropic` is the weakest null, `data` keeps the covariance of the activations, `gauge` keeps all
second moments of a trained dictionary and randomizes the identity of its latents. The fourth level,
`untrained`, is the dictionary at initialization and needs no null model.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from seedstability.errors import UserError
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import PrincipalBasis, principal_basis

_ROWS_AT_ONCE = 8192
"""Rows scrambled in double precision at a time: 50 MB at d = 768."""


def isotropic(n: int, d: int, generator: Generator) -> Float[Tensor, "n d"]:
    """`n` independent directions, uniform on the sphere of R^`d`."""
    return normalize_rows(_normal(n, d, generator))


def data_directions(
    n: int, covariance: Float[Tensor, "d d"], generator: Generator
) -> Float[Tensor, "n d"]:
    """`n` independent directions with the covariance of the activations: N(0, Σ), normalized.

    Raises:
        UserError: for a matrix that is not a covariance.
    """
    return spread_directions(n, square_root(covariance), generator)


def spread_directions(
    n: int, root: Float[Tensor, "d d"], generator: Generator
) -> Float[Tensor, "n d"]:
    """As `data_directions`, from the `square_root` of the covariance."""
    return normalize_rows(_normal(n, len(root), generator) @ root)


@dataclass(frozen=True)
class GaugeBasis:
    """The data's principal components, in clusters of indistinguishable variance."""

    directions: Float[Tensor, "d d"]
    """One component per row, largest variance first, double precision."""
    variances: Float[Tensor, " d"]
    """Variance along each component."""
    clusters: tuple[tuple[int, int], ...]
    """Start and end (exclusive) of each cluster of components, in order."""

    @classmethod
    def from_activations(cls, x: Float[Tensor, "samples d"], center: bool = True) -> "GaugeBasis":
        """Components of samples; a cluster spans the sampling spread of equal variances.

        `center=False` keeps second moments about 0. That is the stricter null for an
        autoencoder without decoder bias, whose latents must carry the mean as well.
        """
        return cls.from_basis(principal_basis(x, center), n_samples=len(x))

    @classmethod
    def from_covariance(cls, covariance: Float[Tensor, "d d"]) -> "GaugeBasis":
        """Components of an exact covariance: only equal variances form a cluster."""
        variances, directions = torch.linalg.eigh(covariance.double())
        largest = variances[-1].item()
        basis = PrincipalBasis(
            torch.zeros(len(variances), dtype=torch.float64),
            directions.T.flip(0),
            variances.flip(0).clamp(min=0.0),
            1e-10 * largest,
        )
        return cls.from_basis(basis, n_samples=None)

    @classmethod
    def from_basis(cls, basis: PrincipalBasis, n_samples: int | None) -> "GaugeBasis":
        """Clusters of given components; `n_samples=None` means that the variances are exact."""
        clusters = _clusters(basis.variances.tolist(), basis.rank, n_samples)
        return cls(basis.directions, basis.variances, clusters)


class GaugeSymmetry(NamedTuple):
    """A symmetry of the data's second moments, in coordinates on its components."""

    signs: Float[Tensor, " d"]
    """Of components with a variance of their own; 1 within clusters."""
    rotations: tuple[tuple[int, int, Float[Tensor, "k k"]], ...]
    """Start and end (exclusive) of each cluster, and its rotation or reflection."""

    def apply(self, coordinates: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Apply it to rows of coordinates on the components."""
        turned = coordinates * self.signs.to(coordinates.dtype)
        for start, stop, turn in self.rotations:
            turned[:, start:stop] = coordinates[:, start:stop] @ turn.to(coordinates.dtype)
        return turned


def gauge_symmetry(basis: GaugeBasis, generator: Generator) -> GaugeSymmetry:
    """Draw a random symmetry; see `gauge_scramble`."""
    signs, rotations = torch.ones(len(basis.variances), dtype=torch.float64), []
    for start, stop in basis.clusters:
        drawn = torch.randn(stop - start, stop - start, generator=generator, dtype=torch.float64)
        if stop - start == 1:
            signs[start] = drawn.sign().item()
        else:
            rotations.append((start, stop, _orthogonal(drawn)))
    return GaugeSymmetry(signs, tuple(rotations))


def gauge_scramble(
    B: Float[Tensor, "n d"], basis: GaugeBasis, generator: Generator
) -> Float[Tensor, "n d"]:
    """Apply a random symmetry of the data's second moments to `B`.

    Coordinates on a component with a variance of its own get a random sign. Coordinates on a
    cluster of equal variances get a random rotation (reflections included), as do those outside
    the span of the data, where all variances are 0. The map is orthogonal and commutes with the
    data's covariance: it keeps lengths, angles within `B`, and every latent's variance on the data.
    """
    V = basis.directions
    if B.shape[1] != V.shape[1]:
        raise UserError(
            f"the dictionary has width {B.shape[1]}, the activations {V.shape[1]}; they must agree"
        )
    symmetry = gauge_symmetry(basis, generator)
    scrambled = torch.empty_like(B)
    for block, into in zip(B.split(_ROWS_AT_ONCE), scrambled.split(_ROWS_AT_ONCE), strict=True):
        into.copy_(symmetry.apply(block.double() @ V.T) @ V)
    return scrambled


def _normal(n: int, d: int, generator: Generator) -> Tensor:
    # Always drawn on the CPU, so that a seed gives the same dictionary on every device.
    return torch.randn(n, d, generator=generator)


def square_root(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The symmetric square root of a covariance.

    Raises:
        UserError: for a matrix that is not a covariance.
    """
    # The symmetric root does not depend on the signs of eigenvectors, so other machines draw the
    # same directions up to rounding.
    square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1]
    if not square or not torch.allclose(covariance, covariance.T, rtol=1e-4):
        raise UserError(
            f"a matrix of shape {tuple(covariance.shape)} is not a covariance: it is not symmetric"
        )
    variances, V = torch.linalg.eigh(covariance.double())
    if variances[-1] <= 0 or variances[0] < -1e-4 * variances[-1]:
        raise UserError(
            f"a matrix is not a covariance: its smallest eigenvalue is {variances[0].item():.3g}"
        )
    return ((V * variances.clamp(min=0.0).sqrt()) @ V.T).float()


def _orthogonal(normal: Float[Tensor, "k k"]) -> Float[Tensor, "k k"]:
    Q, R = torch.linalg.qr(normal)
    # With the signs of R's diagonal the distribution is uniform (Mezzadri 2007).
    return Q * R.diagonal().sign()


def _clusters(
    variances: list[float], rank: int, n_samples: int | None
) -> tuple[tuple[int, int], ...]:
    """Clusters of components, greedily from the largest variance; the last is outside the span.

    The estimates of m equal variances λ from N samples lie between λ (1 − √(m/N))² and
    λ (1 + √(m/N))² (Marchenko & Pastur). The longest run within that range counts as equal: its
    components are not identified, and random signs alone would keep their arbitrary axes.
    """
    runs, start = [], 0
    while start < rank:
        stop = start + 1
        while stop < rank and variances[start] <= variances[stop] * _spread(
            stop + 1 - start, n_samples
        ):
            stop += 1
        runs.append((start, stop))
        start = stop
    if rank < len(variances):
        runs.append((rank, len(variances)))
    return tuple(runs)


def _spread(m: int, n_samples: int | None) -> float:
    """Ratio of the largest to the smallest of `m` equal variances after sampling."""
    if n_samples is None:
        return 1.0 + 1e-9
    edge = (m / n_samples) ** 0.5
    return ((1.0 + edge) / (1.0 - edge)) ** 2 if edge < 1.0 else float("inf")
