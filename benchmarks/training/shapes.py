"""Shapes and synthetic data of the training benchmarks, equal in every process."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Different from the contestants' seeds: with the same seed, torch would initialize rows with the
# numbers of the planted directions.
_DATA_SEED, _ORDER_SEED = 715_225_741, 715_225_742

HELD_OUT = 2048
"""Number of held-out samples, for explained variance."""
_FEATURES_PER_SAMPLE = 16
_NOISE = 0.3
"""Norm of the noise relative to the signal: nearly a tenth of the variance."""


class Shape(NamedTuple):
    """Size of a dictionary and length of its benchmark."""

    width: int
    latents: int
    k: int
    batch: int
    samples: int
    warm_up: int
    """Untimed steps before the first round."""
    steps: int
    """Steps per round."""
    rounds: int


# A, B and C together take about ten minutes on one core.
SHAPES = {
    "A": Shape(128, 1024, 32, 256, samples=40_000, warm_up=50, steps=400, rounds=7),
    "B": Shape(768, 3072, 32, 1024, samples=20_000, warm_up=5, steps=25, rounds=5),
    "C": Shape(768, 32_768, 32, 1024, samples=20_000, warm_up=1, steps=3, rounds=5),
}


def data(shape: Shape) -> tuple[Tensor, Tensor]:
    """Draw activations for training and held-out activations.

    A sample is a sum of a few planted directions plus noise. There are four times as many
    directions as dimensions, with frequencies that follow a power law and a decaying spectrum as in
    real activations. The root mean square of all entries is one.
    """
    generator = torch.Generator().manual_seed(_DATA_SEED)
    planted, samples = 4 * shape.width, shape.samples + HELD_OUT
    spectrum = torch.arange(1, shape.width + 1) ** -0.25
    directions = torch.randn(planted, shape.width, generator=generator) * spectrum
    directions /= directions.norm(dim=1, keepdim=True)
    frequency = torch.arange(1, planted + 1) ** -0.5
    count = samples * _FEATURES_PER_SAMPLE
    which = torch.multinomial(frequency, count, replacement=True, generator=generator)
    strength = 0.5 + torch.rand(count, generator=generator)
    x = torch.nn.functional.embedding_bag(
        which.view(samples, -1),
        directions,
        per_sample_weights=strength.view(samples, -1),
        mode="sum",
    )
    noise = torch.randn(samples, shape.width, generator=generator)
    x += noise * (_NOISE * x.norm() / noise.norm())
    x /= x.square().mean().sqrt()
    return x[:-HELD_OUT].contiguous(), x[-HELD_OUT:].contiguous()


def batches(x: Tensor, size: int) -> Iterator[Tensor]:
    """Iterate over batches without end, reshuffled every epoch; incomplete batches are dropped."""
    generator = torch.Generator().manual_seed(_ORDER_SEED)
    while True:
        order = torch.randperm(len(x), generator=generator)
        for rows in order[: len(x) // size * size].split(size):
            yield x[rows]


def explained_variance(reconstruct, x: Tensor) -> float:
    """Explained variance: one minus the squared error over the variance."""
    with torch.no_grad():
        error = sum((part - reconstruct(part)).square().sum().item() for part in x.split(512))
    return 1 - error / (x - x.mean(0)).square().sum().item()
