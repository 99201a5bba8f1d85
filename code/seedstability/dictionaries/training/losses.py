"""Reference loss of `DictionaryConfig` in plain torch: dense and differentiable by autograd.

The CPU's fused gradients are tested against it; other devices train with it. It computes S
independent seeds at once: pre-activations p, latents f, reconstructions x̂ = f D + d and errors
ε = x̂ − x of b samples in R^d. All gradients are autograd's but for the two straight-through
estimators at the end. No operation has an order of summation that varies on CUDA.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries.config import DictionaryConfig


class Parameters(NamedTuple):
    """Parameters of S dictionaries of one shape; the letters are those of `sae.SAE`."""

    encoder: Float[Tensor, "S n d"]
    """E, the encoder directions."""
    encoder_bias: Float[Tensor, "S n"]
    """e, added before the activation function."""
    decoder: Float[Tensor, "S n d"]
    """D, the decoder directions."""
    decoder_bias: Float[Tensor, "S d"]
    """d, added to each reconstruction; not read if `config.decoder_bias` is off."""
    log_threshold: Float[Tensor, "S n"]
    """Natural logarithm of the threshold θ; only `jumprelu` reads it."""


class Loss(NamedTuple):
    """Loss and latents of S dictionaries on one batch."""

    total: Float[Tensor, " S"]
    """The loss, with all terms."""
    latents: Float[Tensor, "S b n"]
    """Latents of each sample, detached."""


def loss(
    parameters: Parameters,
    x: Float[Tensor, "S b d"],
    config: DictionaryConfig,
    sparsity: float = 1.0,
    dead: Bool[Tensor, "S n"] | None = None,
) -> Loss:
    """Compute the loss of each dictionary on its own batch, in squared units of `x`.

    Args:
        parameters: the S dictionaries.
        x: a batch of b samples per dictionary.
        config: settings of activation function and loss terms.
        sparsity: share of `l1` and `l0_weight` at this step.
        dead: latents that AuxK uses; None if there are none.
    """
    bias = parameters.decoder_bias[:, None]
    if not config.decoder_bias:
        bias = torch.zeros_like(bias)
    centered = x - bias if config.bias_before_encoder else x
    pre = torch.baddbmm(parameters.encoder_bias[:, None], centered, parameters.encoder.mT)
    threshold = parameters.log_threshold.exp()[:, None]

    selected = _selected(pre, threshold, config)
    latents = selected if _may_be_negative(config) else selected.relu()
    error = torch.baddbmm(bias, latents, parameters.decoder) - x

    total = error.square().mean((1, 2))
    if config.architecture == "relu":
        total = total + sparsity * config.l1 * latents.sum(2).mean(1)
    if config.architecture == "jumprelu":
        above = _Step.apply(pre, threshold, config.bandwidth)
        total = total + sparsity * config.l0_weight * above.sum(2).mean(1)
    if config.suppression:
        # `pre - selected` is zero for the latents that are kept.
        total = total + config.suppression * _suppression(pre - selected, error, config.k)
    if config.auxk and dead is not None:
        total = total + config.auxk_weight * _auxk(pre, error, parameters.decoder, dead, config)
    return Loss(total, latents.detach())


def _selected(
    pre: Float[Tensor, "S b n"], threshold: Float[Tensor, "S 1 n"], config: DictionaryConfig
) -> Float[Tensor, "S b n"]:
    """Apply the selection of the architecture: pre-activations kept, zeros elsewhere."""
    if config.architecture == "jumprelu":
        return _JumpReLU.apply(pre, threshold, config.bandwidth)
    if config.architecture == "topk":
        return pre.masked_fill(~_largest(pre, config.k), 0.0)
    if config.architecture == "batch_topk":
        # The ReLU later sets kept values that are not positive to zero.
        batch = pre.flatten(1)
        return batch.masked_fill(~_largest(batch, config.k * pre.shape[1]), 0.0).view_as(pre)
    return pre


def _may_be_negative(config: DictionaryConfig) -> bool:
    # A jumprelu latent is above θ > 0 or zero; a ReLU would only block the gradient of θ.
    return config.architecture == "jumprelu" or (
        config.architecture == "topk" and not config.rectify
    )


def _largest(values: Float[Tensor, "*rows n"], k: int) -> Bool[Tensor, "*rows n"]:
    """Mask of exactly the `k` largest values of each row."""
    columns = values.detach().topk(k, dim=-1, sorted=False).indices
    # Scattering one scalar is deterministic on CUDA, and so is the gradient through a mask.
    return torch.zeros_like(values, dtype=torch.bool).scatter_(-1, columns, True)


def _suppression(
    others: Float[Tensor, "S b n"], error: Float[Tensor, "S b d"], k: int
) -> Float[Tensor, " S"]:
    """HUSAI's auxiliary loss: a sample's summed squared error times the sum of the k largest
    magnitudes among its inactive latents, averaged over samples."""
    inactive = others.abs()
    inactive = inactive.masked_fill(~_largest(inactive, k), 0.0)
    return (error.square().sum(2) * inactive.sum(2)).mean(1)


def _auxk(
    pre: Float[Tensor, "S b n"],
    error: Float[Tensor, "S b d"],
    decoder: Float[Tensor, "S n d"],
    dead: Bool[Tensor, "S n"],
    config: DictionaryConfig,
) -> Float[Tensor, " S"]:
    """AuxK loss (Gao et al., 2406.04093, appendix A.2): squared error of dead latents that
    reconstruct the error, over its variance. Zero without dead latents or without variance."""
    target = -error.detach()
    # With fewer than `auxk` dead latents, entries of −∞ are selected too; the mask removes them.
    candidates = pre.masked_fill(~dead[:, None], -torch.inf)
    used = _largest(candidates, min(config.auxk, pre.shape[2])) & dead[:, None]
    reconstruction = pre.masked_fill(~used, 0.0).relu() @ decoder
    square = (target - reconstruction).square().sum((1, 2))
    variance = (target - target.mean(1, keepdim=True)).square().sum((1, 2))
    weight = torch.where(dead.any(1) & (variance > 0), 1 / variance, 0.0)
    return weight * square


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
