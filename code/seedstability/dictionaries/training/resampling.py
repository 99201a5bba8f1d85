"""Resampling of dead latents (Bricken et al., 2023, "Towards monosemanticity", appendix).

A dead latent gets the direction of a sample, drawn with probability proportional to its squared
loss. The decoder row is that direction with length one. The encoder row has a fifth of the mean
length of live encoder rows. The encoder bias and Adam's moments are set to zero. The sample is
centered as for the encoder.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from seedstability.dictionaries.sae import SAE

SAMPLES = 8192
"""Number of random samples from which directions are drawn; 819,200 in the paper."""
_SHARE_OF_LENGTH = 0.2


class NewRows(NamedTuple):
    """New rows of r dead latents."""

    latents: Int64[np.ndarray, " r"]
    """Indices of the latents."""
    encoder: Float32[np.ndarray, "r d"]
    """Their new encoder rows."""
    decoder: Float32[np.ndarray, "r d"]
    """Their new decoder rows."""


def resample(
    sae: SAE, x: Float[Tensor, "m d"], dead: Bool[np.ndarray, " n"], generator: torch.Generator
) -> NewRows:
    """Draw new rows for dead latents; none if all samples are reconstructed without error."""
    latents = np.flatnonzero(dead)
    losses = (sae.reconstruct(x) - x).square().sum(1).double()
    if not len(latents) or not losses.sum() > 0:
        empty = np.empty((0, x.shape[1]), np.float32)
        return NewRows(latents[:0], empty, empty)
    # with replacement: there may be more dead latents than samples with a loss
    chosen = torch.multinomial(losses.square(), len(latents), True, generator=generator)
    directions = sae.centered(x[chosen])
    directions = directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-30)
    live = sae.encoder[torch.from_numpy(~dead)]
    length = live.norm(dim=1).mean().item() if len(live) else 1.0
    return NewRows(latents, (directions * (_SHARE_OF_LENGTH * length)).numpy(), directions.numpy())
