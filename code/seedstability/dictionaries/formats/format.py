"""What a format consists of, and what all of them need."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.config import Architecture, DictionaryConfig
from seedstability.dictionaries.sae import SAE


class Files(NamedTuple):
    """An SAE as the two files of a format will hold it."""

    settings: dict[str, Any]
    """What becomes JSON."""
    weights: dict[str, Tensor]
    """What becomes safetensors."""


class Format(NamedTuple):
    """One library's way to keep an SAE in a folder."""

    settings: str
    """Name of the file with the settings."""
    weights: str
    """Name of the file with the tensors."""
    read: Callable[[Path], SAE]
    """The SAE in a folder."""
    write: Callable[[SAE], Files] | None
    """The SAE's two files; None where the format is only read."""
    beside: tuple[str, ...] = ()
    """Files that are read too where they are there."""


def of_unknown_training(
    architecture: Architecture, n_latents: int, k: int | None = None, *, centered: bool
) -> DictionaryConfig:
    """Settings that make `SAE.reconstruct` right; those of training keep their defaults, for a
    checkpoint does not say them in our terms.

    Args:
        architecture: which activation function.
        n_latents: rows of the dictionary.
        k: latents kept, where the architecture has such a number.
        centered: whether the decoder's bias is taken off before the encoder.
    """
    config = DictionaryConfig(
        architecture=architecture, n_latents=n_latents, bias_before_encoder=centered
    )
    return config if k is None else replace(config, k=k)


def rectified(threshold: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The thresholds of an SAE that keeps what is above them *and* above zero, as all libraries
    do, for one that keeps what is above them, as ours does."""
    return threshold.clamp(min=0.0)


def norms(decoder: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Lengths of the rows, in float64; of rows without any, something to divide by."""
    return torch.linalg.vector_norm(decoder, dim=1, dtype=torch.float64).clamp(min=1e-8)
