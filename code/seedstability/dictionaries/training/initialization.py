"""Initialization: the scaling of the activations, and each seed's SAE."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.metrics import best_gain, whole_sum
from seedstability.dictionaries.sae import SAE, initialize
from seedstability.dictionaries.samples import Samples
from seedstability.errors import UserError

_SAMPLES_FOR_GAIN = 2048
"""Enough samples for one factor."""
_SAMPLES_FOR_MEDIAN = 16384
"""Enough samples for a median, whose error falls as one over the square root."""
_ROUNDS_FOR_MEDIAN = 50


class ActivationScaling(NamedTuple):
    """Mean and scale of the activations."""

    mean: Float[Tensor, " d"]
    """The mean activation, in the original units."""
    scale: float
    """Training divides the activations by it; 1 without `normalize_activations`."""


def activation_scaling(samples: Samples, config: DictionaryConfig) -> ActivationScaling:
    """Compute mean and scale in one pass over all samples.

    Raises:
        UserError: activations without variance, or NaN.
    """
    m, d = samples.shape
    total: Float64[Tensor, " d"] = torch.zeros(d, dtype=torch.float64)
    squares = torch.zeros(d, dtype=torch.float64)
    for part in samples.parts():
        values = part.double()
        total += values.sum(0)
        squares += values.square().sum(0)
    mean = total / m
    if not config.normalize_activations:
        return ActivationScaling(mean.float(), 1.0)
    variance = whole_sum((squares / m - mean.square())[None]) / d
    # equal numbers leave a variance of rounding errors
    if not variance > 1e-12 * whole_sum((squares / m)[None]) / d:
        raise UserError("activations do not vary, or contain NaN; give activations with variance")
    return ActivationScaling(mean.float(), math.sqrt(variance))


def initial_sae(
    samples: Samples, scaling: ActivationScaling, config: DictionaryConfig, seed: int
) -> SAE:
    """Draw an SAE from `seed` and fit its scale and bias to the scaled activations.

    Raises:
        UserError: invalid settings.
    """
    sae = initialize(config, samples.shape[1], seed)
    if config.decoder_bias:
        sae.decoder_bias.copy_(_bias(samples, scaling, config))
    if config.scaled_init:
        head = samples.rows(torch.arange(min(samples.shape[0], _SAMPLES_FOR_GAIN))) / scaling.scale
        untrained = replace(sae, config=architecture_of(config).before_training(config))
        sae.encoder.mul_(best_gain(untrained, head))
    return sae


def _bias(
    samples: Samples, scaling: ActivationScaling, config: DictionaryConfig
) -> Float[Tensor, " d"]:
    if config.bias_init == "zero":
        return torch.zeros_like(scaling.mean)
    if config.bias_init == "mean":
        return scaling.mean / scaling.scale
    m = samples.shape[0]
    # evenly spaced, since shards may differ
    which = torch.arange(0, m, max(1, m // _SAMPLES_FOR_MEDIAN))[:_SAMPLES_FOR_MEDIAN]
    return geometric_median(samples.rows(which)) / scaling.scale


def geometric_median(x: Float[Tensor, "m d"]) -> Float[Tensor, " d"]:
    """Geometric median of the rows, by Weiszfeld's iteration (1937)."""
    x = x.double()
    point = x.mean(0)
    for _ in range(_ROUNDS_FOR_MEDIAN):
        distances = torch.linalg.vector_norm(x - point, dim=1)
        # a row equal to the point would have infinite weight
        weights = 1 / distances.clamp_min(1e-9 * distances.mean().clamp_min(1e-300))
        new = (weights @ x) / weights.sum()
        if torch.equal(new, point):
            break
        point = new
    return point.float()
