"""Synthetic activations with a 1/k spectrum and a nonzero mean."""

import torch


def samples(m: int, d: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator)).Q
    spectrum = torch.arange(1, d + 1) ** -0.5
    mean = 0.2 * torch.randn(d, generator=generator)
    return (torch.randn(m, d, generator=generator) * spectrum) @ rotation + mean
