"""Pairs of dictionaries that are hard to match, each in its own way."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def unrelated(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=g)), normalize(torch.randn(n, d, generator=g))


def half_shared_with_hubs(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    spread = (1.0 + torch.arange(d)).pow(-0.35)
    hub = normalize(torch.randn(d, generator=g), dim=0)

    def rows(m: int) -> Tensor:
        x = normalize(torch.randn(m, d, generator=g) * spread)
        return normalize(x + hub * (0.2 + 0.3 * torch.rand(m, 1, generator=g)))

    A, B = rows(n), rows(n)
    half = n // 2
    A[:half] = normalize(0.9 * B[torch.randperm(n, generator=g)[:half]] + 0.4 * A[:half])
    return A, B


def nearly_all_shared(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    A, B = unrelated(n, d, seed)
    g = torch.Generator().manual_seed(seed)
    return normalize(0.9 * B + 0.4 * A)[torch.randperm(n, generator=g)], B
