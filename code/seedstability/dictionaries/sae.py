"""Sparse autoencoders as tensors: their start, their encoder, their decoder."""

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
    """One dictionary: n latents, each with a direction to read and a direction to write.

        f = activation((x − subtracted) Eᵀ + e)        x̂ = f D + d

    where the decoder's bias d is subtracted if the settings say so. Used alone, a sample's latents
    depend on no other sample: `batch_topk` then keeps what is above its threshold.
    """

    encoder: Float[Tensor, "n d"]
    """E, the directions that are read."""
    encoder_bias: Float[Tensor, " n"]
    """e, added before the activation function."""
    decoder: Float[Tensor, "n d"]
    """D, the directions that are written: the dictionary."""
    decoder_bias: Float[Tensor, " d"]
    """d, added to each reconstruction; zeros in a dictionary without."""
    threshold: Float[Tensor, " n"]
    """What a pre-activation has to exceed, with `jumprelu` and `batch_topk`; elsewhere zeros."""
    config: DictionaryConfig
    """Which activation function, and which conventions."""

    def pre_activations(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """What the activation function gets to see."""
        return torch.addmm(self.encoder_bias, self.centered(x), self.encoder.t())

    def centered(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """The samples as the encoder reads them."""
        return x - self.decoder_bias if self.config.bias_before_encoder else x

    def encode(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Latents of each sample, most of them zero."""
        pre = self.pre_activations(x)
        if self.config.architecture == "topk":
            kept = _keep_largest(pre, self.config.k)
            return kept.relu_() if self.config.rectify else kept
        if self.config.architecture == "relu":
            return pre.relu_()
        return pre.masked_fill_(pre <= self.threshold, 0.0)

    def decode(self, latents: Float[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """Samples made of the dictionary's directions."""
        return torch.addmm(self.decoder_bias, latents, self.decoder)

    def reconstruct(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """The SAE's version of each sample."""
        return self.decode(self.encode(x))

    def rescaled(self, scale: float) -> "SAE":
        """The SAE that does to `scale` · x what this one does to x.

        Exact, because every activation function here is positively homogeneous once its
        threshold is scaled too.
        """
        return replace(
            self,
            encoder_bias=self.encoder_bias * scale,
            decoder_bias=self.decoder_bias * scale,
            threshold=self.threshold * scale,
        )


def initialize(config: DictionaryConfig, d: int, seed: int) -> SAE:
    """The SAE that `seed` draws, before its first step; biases are zero.

    Raises:
        UserError: for sizes that describe no dictionary.
    """
    check(config, d)
    generator = torch.Generator().manual_seed(seed)
    n = config.n_latents
    # HUSAI draws the encoder first; the order of draws is part of what a seed means.
    encoder = None if config.tied_init else _kaiming_uniform((n, d), d, generator)
    if config.decoder_init == "kaiming_uniform":
        # Drawn as d × n because torch's fan-in of a decoder layer is n; only the order of the
        # draws sees it, the rows being normalised afterwards.
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
    """Refuse settings that describe no dictionary of R^`d`, or none that could be trained.

    Raises:
        UserError: naming the setting and its valid range.
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
            f"suppression is {config.suppression:g}; only topk has that term, and it needs latents "
            f"that are not kept (k is {k} of {n})"
        )
    if config.suppression and config.auxk:
        raise UserError(
            "suppression and auxk are set; the first holds down what the second revives"
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
    """All but the k largest of each row set to zero."""
    latents, values = np.empty((len(pre), k), np.int32), np.empty((len(pre), k), np.float32)
    keep_largest(pre.float().numpy(), k, latents, values)
    columns = torch.from_numpy(latents).long()
    return torch.zeros_like(pre).scatter_(1, columns, pre.gather(1, columns))


def _kaiming_uniform(shape: tuple[int, int], fan_in: int, generator: torch.Generator) -> Tensor:
    """He et al. (1502.01852) with gain √2: uniform on ±√(6 / fan_in)."""
    return torch.empty(shape).uniform_(-1, 1, generator=generator).mul_(math.sqrt(6 / fan_in))
