"""New directions for latents that died: resampling.

Bricken et al. (2023, "Towards monosemanticity", appendix on neuron resampling): a dead latent gets
the direction of a sample drawn with probability proportional to its squared loss; as decoder row
that direction with length one, as encoder row with a fifth of the mean length of the encoder rows
of latents that are alive; no bias, and no memory in Adam. The sample is taken as the encoder reads
it.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from seedstability.dictionaries.sae import SAE

SAMPLES = 8192
"""Among so many, drawn at random, the new directions are sought; theirs are 819,200."""
_SHARE_OF_LENGTH = 0.2


class NewRows(NamedTuple):
    """What r dead latents become."""

    latents: Int64[np.ndarray, " r"]
    """Which they are."""
    encoder: Float32[np.ndarray, "r d"]
    """Their new encoder rows."""
    decoder: Float32[np.ndarray, "r d"]
    """Their new decoder rows."""


def resample(
    sae: SAE, x: Float[Tensor, "m d"], dead: Bool[np.ndarray, " n"], generator: torch.Generator
) -> NewRows:
    """New rows for the dead latents; none where all samples are reconstructed without error."""
    latents = np.flatnonzero(dead)
    losses = (sae.reconstruct(x) - x).square().sum(1).double()
    if not len(latents) or not losses.sum() > 0:
        empty = np.empty((0, x.shape[1]), np.float32)
        return NewRows(latents[:0], empty, empty)
    # with replacement, for there may be more dead latents than samples with a loss
    chosen = torch.multinomial(losses.square(), len(latents), True, generator=generator)
    directions = sae.centered(x[chosen])
    directions = directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-30)
    alive = sae.encoder[torch.from_numpy(~dead)]
    length = alive.norm(dim=1).mean().item() if len(alive) else 1.0
    return NewRows(latents, (directions * (_SHARE_OF_LENGTH * length)).numpy(), directions.numpy())
