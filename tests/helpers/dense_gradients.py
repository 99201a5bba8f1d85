"""Gradients of a batch as dense tensors, for tests to compare with autograd."""

import numpy as np
import torch
from torch import Tensor

from seedstability.dictionaries.kernels import descent
from seedstability.dictionaries.sae import PER_LATENT, SAE
from seedstability.dictionaries.training.gradients import dense_arrays, sorted_by_latent
from seedstability.dictionaries.training.sparse_gradients import BatchGradients


def gradients(sae: SAE, batch: BatchGradients) -> dict[str, Tensor]:
    """Dense gradients of all parameters by name."""
    empty = {name: np.empty_like(getattr(sae, name).numpy()) for name in PER_LATENT}
    descent.gradients(
        sorted_by_latent(batch, len(sae.encoder)), dense_arrays(batch, None), *empty.values()
    )
    bias = batch.decoder_bias.copy()
    if sae.config.bias_before_encoder:
        bias -= empty["encoder_bias"] @ sae.encoder.numpy()
    found = {name: torch.from_numpy(array) for name, array in empty.items()}
    return {**found, "decoder_bias": torch.from_numpy(bias * sae.config.decoder_bias)}
