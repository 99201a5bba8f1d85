"""Dictionaries that have nothing in common but what chance, the data, or second moments give.

Definitions.md §2: `isotropic` is the weakest null, `data` keeps the covariance of the
activations, `gauge` keeps everything second-order about a trained dictionary and loses which
latent is which. (The fourth, `untrained`, is the dictionary before its first step.)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from seedstability.errors import UserError
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.pairs import PairSimilarity, pair_similarities
from seedstability.stability.subspaces.principal import PrincipalBasis, principal_basis

_ROWS_AT_ONCE = 8192
"""Rows that are scrambled in double precision at a time: 50 MB at d = 768."""


def isotropic(n: int, d: int, generator: Generator) -> Float[Tensor, "n d"]:
    """`n` independent directions, uniform on the sphere of R^`d`."""
    return normalize_rows(_normal(n, d, generator))


def data_directions(
    n: int, covariance: Float[Tensor, "d d"], generator: Generator
) -> Float[Tensor, "n d"]:
    """`n` independent directions with the covariance of the activations: N(0, Σ), normalised.

    Raises:
        UserError: for a matrix that is no covariance.
    """
    return normalize_rows(_normal(n, len(covariance), generator) @ _square_root(covariance))


@dataclass(frozen=True)
class GaugeBasis:
    """The data's principal components, in runs whose variances cannot be told apart."""

    directions: Float[Tensor, "d d"]
    """One component a row, largest variance first, double precision."""
    variances: Float[Tensor, "d"]
    """Variance along each."""
    clusters: tuple[tuple[int, int], ...]
    """First component and the one after the last of each run, in order."""

    @classmethod
    def from_activations(cls, x: Float[Tensor, "samples d"], centre: bool = True) -> "GaugeBasis":
        """Components of samples; runs as wide as `len(x)` samples spread equal variances.

        `centre=False` keeps second moments about 0. That is the stricter null for an
        autoencoder without decoder bias, whose latents must carry the mean as well.
        """
        return cls.from_basis(principal_basis(x, centre), n_samples=len(x))

    @classmethod
    def from_covariance(cls, covariance: Float[Tensor, "d d"]) -> "GaugeBasis":
        """Components of a covariance known exactly: only equal variances make a run."""
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
        """Components at hand; `n_samples` of `None` means that the variances are exact."""
        clusters = _clusters(basis.variances.tolist(), basis.rank, n_samples)
        return cls(basis.directions, basis.variances, clusters)


def gauge_scramble(
    B: Float[Tensor, "n d"], basis: GaugeBasis, generator: Generator
) -> Float[Tensor, "n d"]:
    """`B` seen through a random symmetry of the data's second moments.

    Coordinates on a component whose variance stands alone get a random sign, those on a run of
    equal variances a random rotation (reflections included), and so those outside the span of
    the data, where all variances are 0. The map is orthogonal and commutes with the data's
    covariance: lengths, angles within `B`, and every latent's variance on the data stay.
    """
    V = basis.directions
    if B.shape[1] != V.shape[1]:
        raise UserError(
            f"the dictionary has width {B.shape[1]}, the activations {V.shape[1]}; they must agree"
        )
    turns = [_random_orthogonal(stop - start, generator) for start, stop in basis.clusters]
    scrambled = torch.empty_like(B)
    for block, into in zip(B.split(_ROWS_AT_ONCE), scrambled.split(_ROWS_AT_ONCE), strict=True):
        coordinates = block.double() @ V.T
        for (start, stop), turn in zip(basis.clusters, turns, strict=True):
            coordinates[:, start:stop] = coordinates[:, start:stop] @ turn
        into.copy_(coordinates @ V)
    return scrambled


def draw_similarities(
    draw: Callable[[], tuple[Tensor, Tensor]], n_draws: int
) -> dict[str, Float[Tensor, "n_draws"]]:
    """Every similarity of `n_draws` pairs of dictionaries that `draw` makes up, by name.

    For what has no closed form: matched cosines, and all figures under `data` and `gauge`.
    """
    results = [pair_similarities(*draw()) for _ in range(n_draws)]
    return {
        name: torch.tensor([getattr(result, name) for result in results], dtype=torch.float64)
        for name in PairSimilarity._fields
    }


def _normal(n: int, d: int, generator: Generator) -> Tensor:
    # Always drawn on the processor, so that a seed means the same dictionary on each device.
    return torch.randn(n, d, generator=generator)


def _square_root(covariance: Tensor) -> Float[Tensor, "d d"]:
    # The symmetric root: unlike a factor made of eigenvectors it does not depend on their
    # signs, so other machines draw the same directions up to rounding.
    square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1]
    if not square or not torch.allclose(covariance, covariance.T, rtol=1e-4):
        raise UserError(f"{tuple(covariance.shape)} numbers are no covariance: not symmetric")
    variances, V = torch.linalg.eigh(covariance.double())
    if variances[-1] <= 0 or variances[0] < -1e-4 * variances[-1]:
        raise UserError(f"no covariance: its smallest eigenvalue is {variances[0].item():.3g}")
    return ((V * variances.clamp(min=0.0).sqrt()) @ V.T).float()


def _random_orthogonal(k: int, generator: Generator) -> Float[Tensor, "k k"]:
    Q, R = torch.linalg.qr(torch.randn(k, k, generator=generator, dtype=torch.float64))
    # With the signs of R's diagonal the law is uniform (Mezzadri 2007); for k = 1, a coin.
    return Q * R.diagonal().sign()


def _clusters(
    variances: list[float], rank: int, n_samples: int | None
) -> tuple[tuple[int, int], ...]:
    """Runs of components, greedily from the largest variance; the last is outside the span.

    m equal variances λ, estimated from N samples, come out between λ (1 − √(m/N))² and
    λ (1 + √(m/N))² (Marchenko & Pastur). The longest run that is no wider than that is taken
    for equal: its components are not identified, and a sign alone would keep, as if it were
    structure, the arbitrary axes that the sample has picked.
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
    """Largest over smallest of `m` equal variances after sampling."""
    if n_samples is None:
        return 1.0 + 1e-9
    edge = (m / n_samples) ** 0.5
    return ((1.0 + edge) / (1.0 - edge)) ** 2 if edge < 1.0 else float("inf")
