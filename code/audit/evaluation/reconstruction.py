"""Reconstruction and sparsity metrics of one dictionary, named as in definitions.md §4."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries.metrics import Quality, quality, whole_sum

__all__ = [
    "Quality",
    "dead_fraction",
    "explained_variance",
    "explained_variance_scalar_mean",
    "l0",
    "live",
    "mse",
    "quality",
    "rarely_firing_fraction",
]

HUSAI_DEAD_BELOW = 10
"""Firings in the last epoch below which 001's code counts a latent as dead
(`TopKSAE.dead_threshold` in src/models/simple_sae.py of the public repository
brightlikethelight/HUSAI)."""


def explained_variance(x: Float[Tensor, "m d"], reconstruction: Float[Tensor, "m d"]) -> float:
    """Compute 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², x̄ the mean sample; negative if worse than the mean."""
    x, error = x.double(), x.double() - reconstruction.double()
    return 1 - whole_sum(error.square()) / whole_sum((x - x.mean(0)).square())


def explained_variance_scalar_mean(
    x: Float[Tensor, "m d"], reconstruction: Float[Tensor, "m d"]
) -> float:
    """Compute 1 − var(x − x̂) / var(x), each about one scalar mean over all entries, as in 001.

    A mean activation that is not zero counts as variance here, so the value is too high
    (scripts/train_simple_sae.py, `train_sae`).
    """
    x = x.double()
    return 1 - _scalar_variance(x - reconstruction.double()) / _scalar_variance(x)


def _scalar_variance(values: Float[Tensor, "m d"]) -> float:
    return whole_sum((values - whole_sum(values) / values.numel()).square())


def mse(x: Float[Tensor, "m d"], reconstruction: Float[Tensor, "m d"]) -> float:
    """Compute the squared error averaged over all entries."""
    return whole_sum((x.double() - reconstruction.double()).square()) / x.numel()


def l0(latents: Float[Tensor, "m n"]) -> float:
    """Compute the mean number of non-zero latents of a sample."""
    return (latents != 0).sum(1).double().mean().item()


def live(latents: Float[Tensor, "m n"]) -> Bool[Tensor, " n"]:
    """Return which latents fire at least once."""
    return (latents != 0).any(0)


def dead_fraction(latents: Float[Tensor, "m n"]) -> float:
    """Compute the share of latents that never fire."""
    return 1 - live(latents).double().mean().item()


def rarely_firing_fraction(last_epoch_firings: Float[Tensor, " n"]) -> float:
    """Compute 001's share of dead latents: fewer than ten firings in the last epoch."""
    return (torch.as_tensor(last_epoch_firings) < HUSAI_DEAD_BELOW).double().mean().item()
