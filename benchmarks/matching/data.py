"""Two dictionaries to be matched, of three kinds, in 768 dimensions."""

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

D = 768


def random(n: int, g: Generator) -> tuple[Tensor, Tensor]:
    """Unrelated directions: all cosines are small, and near ties abound."""
    return directions(n, g), directions(n, g)


def hubs(n: int, g: Generator) -> tuple[Tensor, Tensor]:
    """Half of the latents come back at cosines from 0.75 to 0.95; all live in some directions more
    than in others, and many share a common one, some more than others."""
    spread = (1.0 + torch.arange(D)).pow(-0.35)
    turn = torch.linalg.qr(torch.randn(D, D, generator=g))[0]
    common = directions(1, g)

    def rows(m: int) -> Tensor:
        own = normalize(torch.randn(m, D, generator=g).mul_(spread)) @ turn
        return normalize(own.add_(common * (0.2 + 0.15 * torch.randn(m, 1, generator=g))))

    A, B = rows(n), rows(n)
    half = n // 2
    cosine = 0.75 + 0.2 * torch.rand(half, 1, generator=g)
    of_b = B[torch.randperm(n, generator=g)[:half]]
    A[:half] = normalize(cosine * of_b + (1 - cosine**2).sqrt() * A[:half])
    return A[torch.randperm(n, generator=g)], B


def shared(n: int, g: Generator) -> tuple[Tensor, Tensor]:
    """Every latent comes back at a cosine of 0.9."""
    B = directions(n, g)
    A = normalize(0.9 * B + (1 - 0.9**2) ** 0.5 * directions(n, g))
    return A[torch.randperm(n, generator=g)], B


def directions(n: int, g: Generator) -> Tensor:
    return normalize(torch.randn(n, D, generator=g))


KINDS = {"random": random, "hubs": hubs, "shared": shared}


def make(kind: str, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    return KINDS[kind](n, torch.Generator().manual_seed(seed))
