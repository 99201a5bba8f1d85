"""Samples with a planted truth: directions and subspaces with known frequencies.

A sample is a sum of independently active groups plus isotropic noise (`config.py`). Groups
are single directions or whole subspaces, after the synthetic model of "Unstable features,
reproducible subspaces" (2606.12138), where features that are low-rank blocks have no preferred
basis.
"""

from typing import NamedTuple, TypedDict

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Generator, Tensor

from audit.subjects.synthetic.config import PlantedConfig
from seedstability.errors import UserError

MAGNITUDE = (1.0, 0.25)
"""Mean and standard deviation of the normal variable whose absolute value is the magnitude."""
_PARTS = ("truth", "train", "heldout")
"""Parts with a generator each, so that the size of one does not change the draws of another."""
_SEED_OFFSET = 2_718_281_828
"""Keeps these generators far from small seeds. With equal seeds, a dictionary's initialization
would draw the same numbers as the truth, and equal it."""


class Truth(NamedTuple):
    """Planted groups; features are their unit vectors, several for a block."""

    directions: Float[Tensor, "features d"]
    """Unit rows: singles, then the orthonormal rows of the first block, and so on."""
    group: Int[Tensor, " features"]
    """The group of each row, from 0; singles come first."""
    rank: Int[Tensor, " groups"]
    """Rows of each group. A single has 1; so has a block of rank 1, whose sign is free."""
    frequency: Float[ndarray, " groups"]
    """Share of samples in which each group is active."""
    singles: int
    """Number of singles."""

    @property
    def n(self) -> int:
        """Number of groups."""
        return len(self.rank)

    @property
    def blocks(self) -> range:
        """Numbers of the blocks."""
        return range(self.singles, self.n)

    def basis(self, group: int) -> Float[Tensor, "rank d"]:
        """Directions of a group."""
        return self.directions[self.group == group]


class PlantedSamples(TypedDict):
    """Samples, and their truth as in `Truth`."""

    train: Float[ndarray, "samples d"]
    heldout: Float[ndarray, "heldout d"]
    directions: Float[ndarray, "features d"]
    unit: Int[ndarray, " features"]
    """The group of each direction."""
    rank: Int[ndarray, " groups"]
    frequency: Float[ndarray, " groups"]


class Sources(NamedTuple):
    """Components of samples: active groups, coefficients and noise."""

    active: Bool[Tensor, "samples groups"]
    """Which groups are active."""
    coefficients: Float[Tensor, "samples features"]
    """Coefficient of each feature; zero where its group is not active."""
    noise: Float[Tensor, "samples d"]
    """Noise added to the sum of features."""

    def sum(self, truth: Truth) -> Float[Tensor, "samples d"]:
        """Add up the samples."""
        return self.coefficients @ truth.directions + self.noise


def planted(config: PlantedConfig) -> PlantedSamples:
    """Draw samples with a planted truth.

    Raises:
        UserError: the settings are out of range.
    """
    truth = draw_truth(config)
    return {
        "train": draw_sources(config, truth, "train").sum(truth).numpy(),
        "heldout": draw_sources(config, truth, "heldout").sum(truth).numpy(),
        "directions": truth.directions.numpy(),
        "unit": truth.group.numpy(),
        "rank": truth.rank.numpy(),
        "frequency": truth.frequency,
    }


def draw_truth(config: PlantedConfig) -> Truth:
    """Draw the planted groups. Singles do not depend on the number and rank of blocks.

    Raises:
        UserError: as `planted`.
    """
    _check(config)
    generator = _generator(config, "truth")
    singles = torch.randn(config.singles, config.d, generator=generator)
    spaced = [_frequencies(kind, config, generator) for kind in (config.singles, config.blocks)]
    bases = torch.randn(config.blocks, config.d, config.rank, generator=generator)
    blocks = torch.linalg.qr(bases).Q.transpose(1, 2).reshape(-1, config.d)
    rank = torch.tensor([1] * config.singles + [config.rank] * config.blocks)
    return Truth(
        torch.cat([torch.nn.functional.normalize(singles, dim=1), blocks]),
        torch.arange(len(rank)).repeat_interleave(rank),
        rank,
        np.concatenate(spaced),
        config.singles,
    )


def draw_sources(config: PlantedConfig, truth: Truth, part: str) -> Sources:
    """Draw the components of the samples of a part, `train` or `heldout`."""
    count = config.samples if part == "train" else config.heldout
    generator = _generator(config, part)
    frequency = torch.from_numpy(truth.frequency).float()
    active = torch.rand(count, len(frequency), generator=generator) < frequency
    mean, spread = MAGNITUDE
    magnitude = mean + spread * torch.randn(count, len(frequency), generator=generator)
    within = _directions_within(config, count, generator)
    noise = torch.randn(count, config.d, generator=generator) * (config.noise / config.d**0.5)
    return Sources(active, (active * magnitude.abs())[:, truth.group] * within, noise)


def _directions_within(
    config: PlantedConfig, count: int, generator: Generator
) -> Float[Tensor, "samples features"]:
    """Draw the direction within each group: 1 for a single, uniform on the sphere for a block."""
    size = (count, config.blocks, config.rank)
    blocks = torch.nn.functional.normalize(torch.randn(size, generator=generator), dim=2)
    return torch.cat([torch.ones(count, config.singles), blocks.flatten(1)], dim=1)


def _frequencies(
    count: int, config: PlantedConfig, generator: Generator
) -> Float[ndarray, " count"]:
    low, high = config.frequencies
    order = torch.randperm(count, generator=generator).numpy()
    return np.geomspace(low, high, count)[order] if count else np.empty(0)


def _generator(config: PlantedConfig, part: str) -> Generator:
    number = _SEED_OFFSET + len(_PARTS) * config.seed + _PARTS.index(part)
    return torch.Generator().manual_seed(number % 2**32)


def _check(config: PlantedConfig) -> None:
    low, high = config.frequencies
    sizes = {"d": config.d, "rank": config.rank}
    sizes |= {"samples": config.samples, "heldout": config.heldout}
    for name, value in sizes.items():
        if value < 1:
            raise UserError(f"{name} is {value}; a planted truth needs at least 1")
    if min(config.singles, config.blocks) < 0 or config.singles + config.blocks == 0:
        raise UserError(
            f"{config.singles} singles and {config.blocks} blocks cannot be planted; "
            "need at least one group"
        )
    if config.blocks and config.rank > config.d:
        raise UserError(f"blocks of rank {config.rank} do not fit into {config.d} dimensions")
    if not 0 < low <= high <= 1:
        raise UserError(f"frequencies are {low} to {high}; need 0 < lowest ≤ highest ≤ 1")
    if not config.noise >= 0:
        raise UserError(f"noise is {config.noise}; need at least 0")
