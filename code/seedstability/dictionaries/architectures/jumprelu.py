"""JumpReLU with an L0 penalty (Rajamanoharan et al., 2407.14435)."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.architectures.architecture import Architecture, Batch, Forward
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.training.sparse_gradients import BatchGradients, squared_error

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE


class JumpReLU(Architecture):
    """Pre-activations above a learned threshold are latents; the loss adds `l0_weight` times L0."""

    name = "jumprelu"
    learns_threshold = True
    against_death = "l0_weight"

    def initial_threshold(self, config: DictionaryConfig) -> float:
        """See `Architecture`."""
        return config.threshold_init

    def select(
        self,
        pre: Float[Tensor, "S b n"],
        threshold: Float[Tensor, "S 1 n"],
        config: DictionaryConfig,
    ) -> Float[Tensor, "S b n"]:
        """See `Architecture`."""
        return _JumpReLU.apply(pre, threshold, config.bandwidth)

    def rectifies(self, config: DictionaryConfig) -> bool:
        """See `Architecture`. A latent is above θ > 0 or zero; a ReLU would only block the gradient
        of θ."""
        return False

    def penalty(self, forward: Forward, config: DictionaryConfig) -> Float[Tensor, " S"]:
        """See `Architecture`."""
        above = _Step.apply(forward.pre, forward.threshold, config.bandwidth)
        return forward.sparsity * config.l0_weight * above.sum(2).mean(1)

    def sparse_gradients(self, sae: "SAE", inputs: Batch) -> BatchGradients:
        """See `Architecture`. Entries include latents up to half a bandwidth below their threshold,
        with value zero, since they have a gradient on the threshold."""
        config, x, centered = sae.config, inputs.x, inputs.centered
        threshold, half = sae.threshold.numpy(), np.float32(config.bandwidth / 2)
        weight = config.l0_weight * inputs.sparsity / len(x)
        pre = sparse_latents.pre_activations(sae.encoder, sae.encoder_bias, centered)
        near = sparse_latents.above(pre, threshold - half)
        at = threshold[near.latents]
        fires = near.values > at
        batch, _ = squared_error(sae, x, centered, near._replace(values=near.values * fires))
        batch.loss += weight * np.count_nonzero(fires)
        in_window = near.values < at + half
        slopes = batch.encoder_entries.weights
        felt = (at * slopes + weight)[in_window] * at[in_window] / config.bandwidth
        batch.threshold = -np.bincount(near.latents[in_window], felt, len(threshold)).astype(
            np.float32
        )
        np.multiply(slopes, fires, out=slopes)
        return batch


class _JumpReLU(torch.autograd.Function):
    """JumpReLU: p where p > θ, else zero. ∂/∂p = 1[p > θ]; the straight-through estimate with a
    rectangular kernel K of width ε is ∂/∂θ = −(θ/ε) K((p − θ)/ε) (2407.14435, equation 11)."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth = bandwidth
        return pre.masked_fill(pre <= threshold, 0.0)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        pre, threshold = ctx.saved_tensors
        (above,) = upstream
        slope = -threshold / ctx.bandwidth * _kernel(pre, threshold, ctx.bandwidth)
        return (
            above.masked_fill(pre <= threshold, 0.0),
            (above * slope).sum_to_size(threshold.shape),
            None,
        )


class _Step(torch.autograd.Function):
    """Step function: 1 where p > θ, else zero. ∂/∂p = 0; the straight-through estimate is
    ∂/∂θ = −(1/ε) K((p − θ)/ε) (ibid., equation 12)."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth = bandwidth
        return (pre > threshold).to(pre.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[None, Tensor, None]:
        pre, threshold = ctx.saved_tensors
        slope = _kernel(pre, threshold, ctx.bandwidth) / -ctx.bandwidth
        return None, (upstream[0] * slope).sum_to_size(threshold.shape), None


def _kernel(pre: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
    """Rectangular kernel: 1 where |p − θ| / ε < 1/2, else zero."""
    return (((pre - threshold) / bandwidth).abs() < 0.5).to(pre.dtype)
