"""Reference loss of `DictionaryConfig` in plain torch: dense and differentiable by autograd.

The CPU's fused gradients are tested against it; other devices train with it. It computes S
independent seeds at once: pre-activations p, latents f, reconstructions x̂ = f D + d and errors
ε = x̂ − x of b samples in R^d. All gradients are autograd's but for the two straight-through
estimators of `jumprelu`. No operation has an order of summation that varies on CUDA.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries.architectures.architecture import Forward
from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.architectures.topk import largest
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

    architecture = architecture_of(config)
    selected = architecture.select(pre, threshold, config)
    latents = selected.relu() if architecture.rectifies(config) else selected
    error = torch.baddbmm(bias, latents, parameters.decoder) - x

    total = error.square().mean((1, 2))
    forward = Forward(pre, selected, latents, error, threshold, sparsity)
    penalty = architecture.penalty(forward, config)
    if penalty is not None:
        total = total + penalty
    if config.auxk and dead is not None:
        total = total + config.auxk_weight * _auxk(pre, error, parameters.decoder, dead, config)
    return Loss(total, latents.detach())


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
    used = largest(candidates, min(config.auxk, pre.shape[2])) & dead[:, None]
    reconstruction = pre.masked_fill(~used, 0.0).relu() @ decoder
    square = (target - reconstruction).square().sum((1, 2))
    variance = (target - target.mean(1, keepdim=True)).square().sum((1, 2))
    weight = torch.where(dead.any(1) & (variance > 0), 1 / variance, 0.0)
    return weight * square
