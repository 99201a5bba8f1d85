"""Sparse autoencoders: encoder, decoder and initialization."""

import math
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.config import Architecture, DictionaryConfig
from seedstability.dictionaries.kernels.selection import keep_largest
from seedstability.errors import UserError


@dataclass(frozen=True)
class SAE:
    """A sparse autoencoder with n latents on R^d.

        f = activation((x − subtracted) Eᵀ + e)        x̂ = f D + d

    where `subtracted` is the decoder bias d if `bias_before_encoder` is set, else zero. A sample's
    latents depend on no other sample: at inference `batch_topk` keeps what exceeds its threshold.
    """

    encoder: Float[Tensor, "n d"]
    """E, the encoder directions."""
    encoder_bias: Float[Tensor, " n"]
    """e, added before the activation function."""
    decoder: Float[Tensor, "n d"]
    """D, the decoder directions: the dictionary."""
    decoder_bias: Float[Tensor, " d"]
    """d, added to each reconstruction; zeros if there is no decoder bias."""
    threshold: Float[Tensor, " n"]
    """Threshold on pre-activations of `jumprelu` and `batch_topk`; zeros for the others."""
    config: DictionaryConfig
    """Settings: activation function, conventions and training."""

    def pre_activations(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Compute the inputs of the activation function."""
        return torch.addmm(self.encoder_bias, self.centered(x), self.encoder.t())

    def centered(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Subtract the decoder bias, if the settings say so: the inputs of the encoder."""
        return x - self.decoder_bias if self.config.bias_before_encoder else x

    def encode(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Compute the latents of each sample."""
        pre = self.pre_activations(x)
        if self.config.architecture == "topk":
            kept = _keep_largest(pre, self.config.k)
            return kept.relu_() if self.config.rectify else kept
        if self.config.architecture == "relu":
            return pre.relu_()
        return pre.masked_fill_(pre <= self.threshold, 0.0)

    def decode(self, latents: Float[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """Map latents to activations."""
        return torch.addmm(self.decoder_bias, latents, self.decoder)

    def reconstruct(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Reconstruct `x`."""
        return self.decode(self.encode(x))

    def rescaled(self, scale: float) -> "SAE":
        """Convert to activations multiplied by `scale`.

        The result reconstructs `scale` · x as `scale` times this SAE's reconstruction of x. This is
        exact: every activation function here is positively homogeneous if its threshold is scaled
        too.
        """
        return replace(
            self,
            encoder_bias=self.encoder_bias * scale,
            decoder_bias=self.decoder_bias * scale,
            threshold=self.threshold * scale,
        )


def initialize(config: DictionaryConfig, d: int, seed: int) -> SAE:
    """Draw an SAE from `seed`, with zero biases.

    Raises:
        UserError: invalid settings.
    """
    check(config, d)
    generator = torch.Generator().manual_seed(seed)
    n = config.n_latents
    # HUSAI draws the encoder first; the order of draws is part of what a seed means.
    encoder = None if config.tied_init else _kaiming_uniform((n, d), d, generator)
    if config.decoder_init == "kaiming_uniform":
        # Drawn as d × n because torch's fan-in of a decoder layer is n. The scale cancels when rows
        # are normalized; the layout of the draws stays.
        decoder = _kaiming_uniform((d, n), n, generator).t().contiguous()
    else:
        decoder = torch.randn(n, d, generator=generator)
    decoder /= decoder.norm(dim=1, keepdim=True)
    encoder = decoder.clone() if encoder is None else encoder
    threshold = config.threshold_init if config.architecture == "jumprelu" else 0.0
    return SAE(
        encoder, torch.zeros(n), decoder, torch.zeros(d), torch.full((n,), threshold), config
    )


def check(config: DictionaryConfig, d: int) -> None:
    """Validate settings for activations of `d` dimensions.

    Raises:
        UserError: an invalid setting; the message gives its valid range.
    """
    n, k = config.n_latents, config.k
    if config.architecture not in get_args(Architecture):
        known = ", ".join(get_args(Architecture))
        raise UserError(f"architecture is {config.architecture!r}; it must be one of {known}")
    if n < 1 or d < 2:
        raise UserError(
            f"no dictionary has {n} latents in {d} dimensions; need n_latents ≥ 1 and d ≥ 2"
        )
    if config.architecture in ("topk", "batch_topk") and not 1 <= k <= n:
        raise UserError(f"k is {k} with {n} latents; it must lie in 1…{n}")
    if config.suppression and (config.architecture != "topk" or k == n):
        raise UserError(
            f"suppression is {config.suppression:g}; only topk has that term, and it needs "
            f"inactive latents (k is {k} of {n})"
        )
    if config.suppression and config.auxk:
        raise UserError(
            "suppression and auxk are set; set one to 0: suppression shrinks what AuxK revives"
        )
    for name, (valid, what) in _valid_ranges(config).items():
        if not valid:
            raise UserError(f"{name} is {getattr(config, name)}; it must be {what}")


def _valid_ranges(config: DictionaryConfig) -> dict[str, tuple[bool, str]]:
    return {
        "batch_size": (config.batch_size >= 1, "at least 1"),
        "epochs": (config.epochs >= 0, "at least 0"),
        "learning_rate": (config.learning_rate > 0, "above 0"),
        "bandwidth": (config.bandwidth > 0, "above 0"),
        "threshold_init": (config.threshold_init > 0, "above 0"),
        "threshold_ema_decay": (0 <= config.threshold_ema_decay < 1, "in [0, 1)"),
        "decay_share": (0 <= config.decay_share <= 1, "in [0, 1]"),
        "clip_norm": (config.clip_norm is None or config.clip_norm > 0, "above 0, or None"),
        "auxk": (config.auxk >= 0, "at least 0"),
        "dead_after": (config.dead_after >= 1, "at least 1"),
        "resample_every": (config.resample_every >= 0, "at least 0"),
    }


def _keep_largest(pre: Float[Tensor, "b n"], k: int) -> Float[Tensor, "b n"]:
    """Set all but the k largest entries of each row to zero."""
    latents, values = np.empty((len(pre), k), np.int32), np.empty((len(pre), k), np.float32)
    keep_largest(pre.float().numpy(), k, latents, values)
    columns = torch.from_numpy(latents).long()
    return torch.zeros_like(pre).scatter_(1, columns, pre.gather(1, columns))


def _kaiming_uniform(shape: tuple[int, int], fan_in: int, generator: torch.Generator) -> Tensor:
    """Kaiming uniform initialization (He et al., 1502.01852) with gain √2: ±√(6 / fan_in)."""
    return torch.empty(shape).uniform_(-1, 1, generator=generator).mul_(math.sqrt(6 / fan_in))
