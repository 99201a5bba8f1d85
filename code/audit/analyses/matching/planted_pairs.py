"""Pairs of dictionaries whose best assignment is easy, or hard, each in its own way.

Three kinds, from nothing in common to all: what a solver of the assignment has to be tried on.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.matching.config import Kind
from seedstability.stability.cosine import normalize_rows

_DECAY = 0.35
"""Spread along the k-th axis falls as k to the power of −0.35: anisotropic, all axes in use."""
_LOADING = (0.2, 0.15)
"""Mean and spread over rows of the weight of the direction that all rows carry a part of. Rows
with much of it are hubs: close to everybody, and so wanted by everybody."""
_SHARED_AT = 0.9
_HALF_SHARED_AT = (0.75, 0.95)


def planted_pair(
    kind: Kind, n: int, d: int, generator: Generator
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Two dictionaries of `n` unit rows in R^`d`, the rows of the first in random order.

    `random`: unrelated and isotropic. `hubs`: anisotropic around a common direction, and half of
    the rows shared at cosines from 0.75 to 0.95. `shared`: each row has a partner at cosine
    0.9, its only close one.
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
    """Unit rows at these cosines with the unit rows of `B`, the rest of each from `noise`."""
    across = normalize_rows(noise - (noise * B).sum(dim=1, keepdim=True) * B)
    return cosine * B + (1 - cosine**2).sqrt() * across


def _isotropic(n: int, d: int, generator: Generator) -> Float[Tensor, "n d"]:
    return normalize_rows(torch.randn(n, d, generator=generator))
