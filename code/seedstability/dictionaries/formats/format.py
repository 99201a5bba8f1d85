"""Interface of a checkpoint format, with shared helpers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE


class Files(NamedTuple):
    """Contents of the two files of a checkpoint."""

    settings: dict[str, Any]
    """Settings, written as JSON."""
    weights: dict[str, Tensor]
    """Tensors, written as safetensors."""


class Format(NamedTuple):
    """A checkpoint format: a folder with settings and weights."""

    settings: str
    """Name of the settings file."""
    weights: str
    """Name of the weights file."""
    read: Callable[[Path], SAE]
    """Read the SAE in a folder."""
    write: Callable[[SAE], Files] | None
    """Contents of the files of an SAE; None for a read-only format."""
    optional: tuple[str, ...] = ()
    """Names of optional files."""


def of_unknown_training(
    architecture: str, n_latents: int, k: int | None = None, *, centered: bool
) -> DictionaryConfig:
    """Settings of inference for an SAE of another library; settings of training are defaults.

    Args:
        architecture: the activation function.
        n_latents: number of latents.
        k: active latents per sample, for the TopK architectures.
        centered: whether the decoder bias is subtracted before the encoder.
    """
    config = DictionaryConfig(
        architecture=architecture, n_latents=n_latents, bias_before_encoder=centered
    )
    return config if k is None else replace(config, k=k)


def rectified(threshold: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Clamp thresholds at zero: other libraries keep positive latents above the threshold, ours all
    latents above it."""
    return threshold.clamp(min=0.0)


def norms(decoder: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Lengths of the rows in float64, clamped above zero."""
    return torch.linalg.vector_norm(decoder, dim=1, dtype=torch.float64).clamp(min=1e-8)
