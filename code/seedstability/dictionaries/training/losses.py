"""The loss of `DictionaryConfig` in plain torch: dense, and differentiable by autograd.

This is what the loss is. The CPU's fused gradients are tested against it; other devices train
with it. All of it is written for S seeds at once, of which none sees another: pre-activations p,
latents f, reconstructions x̂ = f D + d and errors ε = x̂ − x of b samples in R^d. Every gradient
below is autograd's own but for the two straight-through estimates at the end, and none of them
needs an operation whose order of summation varies on CUDA.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries.config import DictionaryConfig


class Parameters(NamedTuple):
    """What S dictionaries of one shape learn; see `architectures.SAE` for the letters."""

    encoder: Float[Tensor, "S n d"]
    """E, the directions that are read."""
    encoder_bias: Float[Tensor, "S n"]
    """e, added before the activation function."""
    decoder: Float[Tensor, "S n d"]
    """D, the directions that are written."""
    decoder_bias: Float[Tensor, "S d"]
    """d, added to each reconstruction; not read where `config.decoder_bias` is off."""
    log_threshold: Float[Tensor, "S n"]
    """Natural logarithm of θ, what a pre-activation has to exceed; only `jumprelu` reads it."""


class Loss(NamedTuple):
    """What one batch says about each of S dictionaries."""

    total: Float[Tensor, " S"]
    """The loss, all its terms together."""
    latents: Float[Tensor, "S b n"]
    """The latents of each sample, without a graph."""


def loss(
    parameters: Parameters,
    x: Float[Tensor, "S b d"],
    config: DictionaryConfig,
    sparsity: float = 1.0,
    dead: Bool[Tensor, "S n"] | None = None,
) -> Loss:
    """The loss of each dictionary on its own batch, in squared units of `x`.

    Args:
        parameters: the S dictionaries.
        x: a batch of b samples for each.
        config: which activation function, which terms, and their weights.
        sparsity: share of `l1` and `l0_weight` that counts at this step.
        dead: the latents that `auxk` may use; None where there are none.
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
        # Exactly the pre-activations that were not kept: of the others nothing is left.
        total = total + config.suppression * _suppression(pre - selected, error, config.k)
    if config.auxk and dead is not None:
        total = total + config.auxk_weight * _auxk(pre, error, parameters.decoder, dead, config)
    return Loss(total, latents.detach())


def _selected(
    pre: Float[Tensor, "S b n"], threshold: Float[Tensor, "S 1 n"], config: DictionaryConfig
) -> Float[Tensor, "S b n"]:
    """The pre-activations that may become latents, and zeros in the place of the others."""
    if config.architecture == "jumprelu":
        return _JumpReLU.apply(pre, threshold, config.bandwidth)
    if config.architecture == "topk":
        return pre.masked_fill(~_largest(pre, config.k), 0.0)
    if config.architecture == "batch_topk":
        # Those of them that are not positive end as zeros, as if they had not been kept.
        batch = pre.flatten(1)
        return batch.masked_fill(~_largest(batch, config.k * pre.shape[1]), 0.0).view_as(pre)
    return pre


def _may_be_negative(config: DictionaryConfig) -> bool:
    # A jumprelu latent is above θ > 0 or zero; a ReLU on it would only cut off θ's gradient.
    return config.architecture == "jumprelu" or (
        config.architecture == "topk" and not config.rectify
    )


def _largest(values: Float[Tensor, "*rows n"], k: int) -> Bool[Tensor, "*rows n"]:
    """True for exactly the `k` largest values of each row."""
    columns = values.detach().topk(k, dim=-1, sorted=False).indices
    # Writing one scalar is deterministic on CUDA, and so is the gradient through a mask.
    return torch.zeros_like(values, dtype=torch.bool).scatter_(-1, columns, True)


def _suppression(
    others: Float[Tensor, "S b n"], error: Float[Tensor, "S b d"], k: int
) -> Float[Tensor, " S"]:
    """HUSAI's auxiliary term: a sample's summed squared error times the k largest magnitudes
    among its latents not kept, summed, averaged over samples."""
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
    """How badly dead latents alone reconstruct what is missing, over its variance (AuxK; Gao et
    al., 2406.04093, appendix A.2); zero without dead latents or without variance."""
    target = -error.detach()
    # Fewer than `auxk` dead ones leave places to latents of −∞, which the mask takes back.
    candidates = pre.masked_fill(~dead[:, None], -torch.inf)
    used = _largest(candidates, min(config.auxk, pre.shape[2])) & dead[:, None]
    reconstruction = pre.masked_fill(~used, 0.0).relu() @ decoder
    square = (target - reconstruction).square().sum((1, 2))
    variance = (target - target.mean(1, keepdim=True)).square().sum((1, 2))
    weight = torch.where(dead.any(1) & (variance > 0), 1 / variance, 0.0)
    return weight * square


class _JumpReLU(torch.autograd.Function):
    """p where p > θ, else zero; ∂/∂p = 1[p > θ] and, estimated straight through with a
    rectangular kernel K of width ε, ∂/∂θ = −(θ/ε) K((p − θ)/ε) (2407.14435, equation 11)."""

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
    """1 where p > θ, else zero; ∂/∂p = 0 and, estimated likewise, ∂/∂θ = −(1/ε) K((p − θ)/ε)
    (ibid., equation 12)."""

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
    """1 where |p − θ| / ε < 1/2, else zero."""
    return (((pre - threshold) / bandwidth).abs() < 0.5).to(pre.dtype)
