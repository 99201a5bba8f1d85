"""Reconstruction metrics as plain formulas of whole matrices, which the streamed pass equals."""

from jaxtyping import Bool, Float
from torch import Tensor


def explained_variance(x: Float[Tensor, "m d"], reconstruction: Float[Tensor, "m d"]) -> float:
    """Compute 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², x̄ the mean sample; negative if worse than the mean."""
    x, error = x.double(), x.double() - reconstruction.double()
    return (1 - error.square().sum() / (x - x.mean(0)).square().sum()).item()


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
    return (values - values.mean()).square().sum().item()


def mse(x: Float[Tensor, "m d"], reconstruction: Float[Tensor, "m d"]) -> float:
    """Compute the squared error averaged over all entries."""
    return (x.double() - reconstruction.double()).square().mean().item()


def l0(latents: Float[Tensor, "m n"]) -> float:
    """Compute the mean number of non-zero latents of a sample."""
    return (latents != 0).sum(1).double().mean().item()


def live(latents: Float[Tensor, "m n"]) -> Bool[Tensor, " n"]:
    """Return which latents fire at least once."""
    return (latents != 0).any(0)


def dead_fraction(latents: Float[Tensor, "m n"]) -> float:
    """Compute the share of latents that never fire."""
    return 1 - live(latents).double().mean().item()
