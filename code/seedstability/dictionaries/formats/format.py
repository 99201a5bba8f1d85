"""Interface of a checkpoint format, with shared helpers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.formats.settings import Settings, read_settings
from seedstability.dictionaries.sae import SAE


class Files(NamedTuple):
    """Contents of the two files of a checkpoint."""

    settings: dict[str, Any]
    """Settings, written as JSON."""
    weights: dict[str, Tensor]
    """Tensors, written as safetensors."""


class Checkpoint(NamedTuple):
    """The files of one SAE, and what must be known beside them."""

    weights: Path
    """File of weights."""
    settings: Path | None
    """File of settings; `None` where there is none."""
    more: tuple[Path, ...] = ()
    """Optional files that are there."""
    mean_norm: Callable[[int], float] | None = None
    """Mean norm of the activations, given their width; called only where an SAE needs it."""

    def read_settings(self) -> Settings:
        """Read the settings of a format that requires them.

        Raises:
            UserError: as `settings.read_settings`.
        """
        assert self.settings is not None  # `folder.recognize` has found them
        return read_settings(self.settings)


class Format(NamedTuple):
    """A checkpoint format: a folder with weights and, mostly, settings."""

    weights: str
    """Name of the weights file."""
    settings: str | None
    """Name of the settings file; `None` if the format has none that is required."""
    read: Callable[[Checkpoint], SAE]
    """Read an SAE."""
    write: Callable[[SAE], Files] | None = None
    """Contents of the files of an SAE; None for a read-only format."""
    optional: tuple[str, ...] = ()
    """Names of optional files."""
    stated: Callable[[Path], dict[str, Any]] | None = None
    """Settings that the path of the weights states, as downloaded."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the required files, settings first."""
        return (self.weights,) if self.settings is None else (self.settings, self.weights)


class Encoder(NamedTuple):
    """An encoder in our terms: a latent is active where its pre-activation is above θ."""

    directions: Float[Tensor, "n d"]
    bias: Float[Tensor, " n"]
    threshold: Float[Tensor, " n"]


def ungated(
    directions: Float[Tensor, "n d"],
    gate_bias: Float[Tensor, " n"],
    log_magnitude: Float[Tensor, " n"],
    magnitude_bias: Float[Tensor, " n"],
) -> Encoder:
    """A gated encoder (Rajamanoharan et al., 2404.16014) as a JumpReLU.

    Both paths share the directions W up to a factor, so the gate W·x + g > 0 is the threshold
    θ = m − eʳ·g on the magnitude's pre-activation eʳ·W·x + m; exact but for rounding.
    """
    factor = log_magnitude.double().exp()
    threshold = magnitude_bias.double() - factor * gate_bias.double()
    scaled = directions * factor.float()[:, None]
    return Encoder(scaled, magnitude_bias, rectified(threshold.float()))


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
