"""Where training begins: the units of the activations, and each seed's dictionary in them."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.metrics import best_gain, whole_sum
from seedstability.dictionaries.sae import SAE, initialize
from seedstability.dictionaries.samples import Samples
from seedstability.errors import UserError

_SAMPLES_FOR_GAIN = 2048
"""Enough for one factor; more would only cost time."""
_SAMPLES_FOR_MEDIAN = 16384
"""Enough for a point in the middle (its error falls as one over the root)."""
_ROUNDS_FOR_MEDIAN = 50


class ActivationScaling(NamedTuple):
    """How training sees the activations."""

    mean: Float[Tensor, " d"]
    """The mean activation, in their own units."""
    scale: float
    """Training divides by it; one where the settings do not normalise."""


def activation_scaling(samples: Samples, config: DictionaryConfig) -> ActivationScaling:
    """Mean and scale, in one pass over all samples.

    Raises:
        UserError: where there is nothing to train on.
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
    # what is left of equal numbers after rounding is no variance
    if not variance > 1e-12 * whole_sum((squares / m)[None]) / d:
        raise UserError("activations do not vary, or hold NaN; there is nothing to reconstruct")
    return ActivationScaling(mean.float(), math.sqrt(variance))


def initial_sae(
    samples: Samples, scaling: ActivationScaling, config: DictionaryConfig, seed: int
) -> SAE:
    """The dictionary that `seed` draws, made ready for these activations, in training's units.

    Raises:
        UserError: for sizes that describe no dictionary.
    """
    sae = initialize(config, samples.shape[1], seed)
    if config.decoder_bias:
        sae.decoder_bias.copy_(_bias(samples, scaling, config))
    if config.scaled_init:
        head = samples.rows(torch.arange(min(samples.shape[0], _SAMPLES_FOR_GAIN))) / scaling.scale
        # What BatchTopK keeps of one sample is known only once it has a threshold.
        alike = (
            replace(config, architecture="topk") if config.architecture == "batch_topk" else config
        )
        sae.encoder.mul_(best_gain(replace(sae, config=alike), head))
    return sae


def _bias(
    samples: Samples, scaling: ActivationScaling, config: DictionaryConfig
) -> Float[Tensor, " d"]:
    if config.bias_init == "zero":
        return torch.zeros_like(scaling.mean)
    if config.bias_init == "mean":
        return scaling.mean / scaling.scale
    m = samples.shape[0]
    # spread evenly over all, since shards may differ
    which = torch.arange(0, m, max(1, m // _SAMPLES_FOR_MEDIAN))[:_SAMPLES_FOR_MEDIAN]
    return geometric_median(samples.rows(which)) / scaling.scale


def geometric_median(x: Float[Tensor, "m d"]) -> Float[Tensor, " d"]:
    """The point with the least summed distance to all rows, by Weiszfeld's iteration (1937)."""
    x = x.double()
    point = x.mean(0)
    for _ in range(_ROUNDS_FOR_MEDIAN):
        distances = torch.linalg.vector_norm(x - point, dim=1)
        # a row that is the point would pull with infinite weight, and stay there
        weights = 1 / distances.clamp_min(1e-9 * distances.mean().clamp_min(1e-300))
        new = (weights @ x) / weights.sum()
        if torch.equal(new, point):
            break
        point = new
    return point.float()
