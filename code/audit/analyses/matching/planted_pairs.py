"""Planted pairs of dictionaries: easy and hard instances of the assignment problem.

There are three kinds, from unrelated to fully shared, on which a solver has to be tested.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.matching.config import Kind
from seedstability.stability.cosine import normalize_rows

_DECAY = 0.35
"""Spread along the k-th axis falls as k to the power of −0.35: anisotropic, all axes in use."""
_LOADING = (0.2, 0.15)
"""Mean and standard deviation over rows of the weight of a common direction. Rows with a large
weight are hubs: close to every row, and so contested."""
_SHARED_AT = 0.9
_HALF_SHARED_AT = (0.75, 0.95)


def planted_pair(
    kind: Kind, n: int, d: int, generator: Generator
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Draw two dictionaries of `n` unit rows in R^`d`, the rows of the first in random order.

    `random`: unrelated and isotropic. `hubs`: anisotropic around a common direction, with half of
    the rows shared at cosines from 0.75 to 0.95. `shared`: each row has one partner at cosine 0.9,
    and no other close row.
    """
    if kind == "hubs":
        A, B = _with_hubs(n, d, generator)
    else:
        B = _isotropic(n, d, generator)
        A = _isotropic(n, d, generator)
        if kind == "shared":
            A = _at_cosine(B, A, torch.full((n, 1), _SHARED_AT))
    return A[torch.randperm(n, generator=generator)], B


def _with_hubs(n: int, d: int, generator: Generator) -> tuple[Tensor, Tensor]:
    spread = torch.arange(1, d + 1).pow(-_DECAY)
    spread = spread / spread.norm()
    common = _isotropic(1, d, generator)

    def rows() -> Tensor:
        own = torch.randn(n, d, generator=generator) * spread
        weight = _LOADING[0] + _LOADING[1] * torch.randn(n, 1, generator=generator)
        return normalize_rows(own + weight * common)

    A, B = rows(), rows()
    half = n // 2
    low, high = _HALF_SHARED_AT
    cosine = low + (high - low) * torch.rand(half, 1, generator=generator)
    A[:half] = _at_cosine(B[:half], A[:half], cosine)
    return A, B


def _at_cosine(
    B: Float[Tensor, "n d"], noise: Float[Tensor, "n d"], cosine: Float[Tensor, "n 1"]
) -> Float[Tensor, "n d"]:
    """Return unit rows at the given cosines with the unit rows of `B`, completed by `noise`."""
    across = normalize_rows(noise - (noise * B).sum(dim=1, keepdim=True) * B)
    return cosine * B + (1 - cosine**2).sqrt() * across


def _isotropic(n: int, d: int, generator: Generator) -> Float[Tensor, "n d"]:
    return normalize_rows(torch.randn(n, d, generator=generator))
