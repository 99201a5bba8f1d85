"""Samples of which the truth is known: which directions they are made of, and how often.

The model is a sum of independently active units plus isotropic noise, `synthetic_config.py`. Units
are single directions or whole subspaces, after the synthetic model of "Unstable features,
reproducible subspaces" (2606.12138), where features that are low-rank blocks have no basis of
their own.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Generator, Tensor

from audit.subjects.synthetic.planted_config import PlantedConfig
from seedstability.errors import UserError

MAGNITUDE = (1.0, 0.25)
"""Mean and standard deviation of the normal number whose absolute value a magnitude is."""
_PARTS = ("truth", "train", "heldout")
"""What is drawn, each with a generator of its own, so that sizes change no other part."""
_FAR = 2_718_281_828
"""Generators begin so far from zero: a dictionary that starts from a small seed of its own would
otherwise draw the numbers that the truth was made of, and start at the truth."""


class Truth(NamedTuple):
    """What samples are made of; features are the unit vectors, several for a block."""

    directions: Float[Tensor, "features d"]
    """Unit rows: singles, then the orthonormal rows of the first block, and so on."""
    unit: Int[Tensor, " features"]
    """The unit that each row belongs to, from 0; singles come first."""
    rank: Int[Tensor, " units"]
    """Rows of each unit. A single has 1, and so has a block of rank 1, whose sign is free."""
    frequency: Float[ndarray, " units"]
    """Share of samples in which each unit is active."""


class Sources(NamedTuple):
    """What some samples are the sum of."""

    active: Bool[Tensor, "samples units"]
    """Which units are active."""
    coefficients: Float[Tensor, "samples features"]
    """How much of each feature is in a sample; zero where its unit is not active."""
    noise: Float[Tensor, "samples d"]
    """What is added to them."""

    def sum(self, truth: Truth) -> Float[Tensor, "samples d"]:
        """The samples."""
        return self.coefficients @ truth.directions + self.noise


def planted(config: PlantedConfig) -> dict[str, Any]:
    """Samples and their truth.

    Returns:
        `train` float32 [samples, d], `heldout` float32 [heldout, d]; and the truth as in `Truth`:
        `directions` float32 [features, d], `unit` int64 [features], `rank` int64 [units],
        `frequency` float64 [units], where features = singles + blocks · rank.

    Raises:
        UserError: for settings that describe no samples.
    """
    truth = draw_truth(config)
    return {
        "train": draw_sources(config, truth, "train").sum(truth).numpy(),
        "heldout": draw_sources(config, truth, "heldout").sum(truth).numpy(),
        "directions": truth.directions.numpy(),
        "unit": truth.unit.numpy(),
        "rank": truth.rank.numpy(),
        "frequency": truth.frequency,
    }


def draw_truth(config: PlantedConfig) -> Truth:
    """The units of a seed. Singles do not depend on how many blocks there are, or of what rank.

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
    )


def draw_sources(config: PlantedConfig, truth: Truth, part: str) -> Sources:
    """What the samples of a part, `train` or `heldout`, are the sum of."""
    count = config.samples if part == "train" else config.heldout
    generator = _generator(config, part)
    frequency = torch.from_numpy(truth.frequency).float()
    active = torch.rand(count, len(frequency), generator=generator) < frequency
    mean, spread = MAGNITUDE
    magnitude = mean + spread * torch.randn(count, len(frequency), generator=generator)
    pointing = _pointing(config, count, generator)
    noise = torch.randn(count, config.d, generator=generator) * (config.noise / config.d**0.5)
    return Sources(active, (active * magnitude.abs())[:, truth.unit] * pointing, noise)


def _pointing(
    config: PlantedConfig, count: int, generator: Generator
) -> Float[Tensor, "samples features"]:
    """Coordinates of each unit's direction in its own basis: 1 for a single, and for a block
    uniform on the sphere."""
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
    number = _FAR + len(_PARTS) * config.seed + _PARTS.index(part)
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
            f"{config.singles} singles and {config.blocks} blocks are no truth; plant at least one"
        )
    if config.blocks and config.rank > config.d:
        raise UserError(f"blocks of rank {config.rank} do not fit into {config.d} dimensions")
    if not 0 < low <= high <= 1:
        raise UserError(f"frequencies are {low} to {high}; need 0 < lowest ≤ highest ≤ 1")
    if not config.noise >= 0:
        raise UserError(f"noise is {config.noise}; a length is 0 or more")
