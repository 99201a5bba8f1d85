"""The sizes raced at, and the data: the same numbers in every process, from one generator."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Far from any seed a contestant draws its start from: with the same seed, torch would give the
# starting rows the very numbers of the planted directions.
_DATA_SEED, _ORDER_SEED = 715_225_741, 715_225_742

HELD_OUT = 2048
"""Samples that no contestant trains on; explained variance is measured on them."""
_FEATURES_PER_SAMPLE = 16
_NOISE = 0.3
"""Length of the noise beside a signal of length one: a tenth of the variance, nearly."""


class Shape(NamedTuple):
    """One size of dictionary, and how long it is raced."""

    width: int
    latents: int
    k: int
    batch: int
    samples: int
    warm_up: int
    """Steps before the first round, not timed: compilers, allocators and caches settle."""
    steps: int
    """Steps in one round."""
    rounds: int


# Steps are such that A, B and C together take about ten minutes on one core.
SHAPES = {
    "A": Shape(128, 1024, 32, 256, samples=40_000, warm_up=50, steps=400, rounds=7),
    "B": Shape(768, 3072, 32, 1024, samples=20_000, warm_up=5, steps=25, rounds=5),
    "C": Shape(768, 32_768, 32, 1024, samples=20_000, warm_up=1, steps=3, rounds=5),
}


def data(shape: Shape) -> tuple[Tensor, Tensor]:
    """Activations to train on, and those held out.

    A sample is a sum of a few planted directions, four times as many as dimensions and some far
    more frequent than others, plus noise. Directions lean towards the first coordinates, as the
    spectrum of real activations does. The root mean square of all entries is one.
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
    """Batches without end, a new shuffle every epoch; what does not fill a batch is left out."""
    generator = torch.Generator().manual_seed(_ORDER_SEED)
    while True:
        order = torch.randperm(len(x), generator=generator)
        for rows in order[: len(x) // size * size].split(size):
            yield x[rows]


def explained_variance(reconstruct, x: Tensor) -> float:
    """One minus the squared error over the variance around the mean."""
    with torch.no_grad():
        error = sum((part - reconstruct(part)).square().sum().item() for part in x.split(512))
    return 1 - error / (x - x.mean(0)).square().sum().item()
