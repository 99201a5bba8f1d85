"""Sparse autoencoders: encoder, decoder and initialization."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.errors import UserError

PARTS = {
    "encoder": ("n", "d"),
    "encoder_bias": ("n",),
    "decoder": ("n", "d"),
    "decoder_bias": ("d",),
    "threshold": ("n",),
}
"""The tensors of an SAE with n latents on R^d, and the shape of each."""
PER_LATENT = ("encoder", "encoder_bias", "decoder")
"""Those that training updates row by row, one row a latent."""


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

    def parts(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {name: getattr(self, name) for name in PARTS}

    def pre_activations(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Compute the inputs of the activation function."""
        return torch.addmm(self.encoder_bias, self.centered(x), self.encoder.t())

    def centered(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Subtract the decoder bias, if the settings say so: the inputs of the encoder."""
        return x - self.decoder_bias if self.config.bias_before_encoder else x

    def encode(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Compute the latents of each sample."""
        return architecture_of(self.config).encode(self.pre_activations(x), self)

    def decode(self, latents: Float[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """Map latents to activations."""
        return torch.addmm(self.decoder_bias, latents, self.decoder)

    def reconstruct(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Reconstruct `x`."""
        return self.encode_and_reconstruct(x)[1]

    def encode_and_reconstruct(
        self, x: Float[Tensor, "b d"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b d"]]:
        """Compute the latents of each sample, and the reconstruction from them."""
        latents = self.encode(x)
        return latents, self.decode(latents)

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
    threshold = torch.full((n,), architecture_of(config).initial_threshold(config))
    return SAE(encoder, torch.zeros(n), decoder, torch.zeros(d), threshold, config)


def check(config: DictionaryConfig, d: int) -> None:
    """Validate settings for activations of `d` dimensions.

    Raises:
        UserError: an invalid setting; the message gives its valid range.
    """
    n = config.n_latents
    architecture = architecture_of(config)
    if n < 1 or d < 2:
        raise UserError(
            f"no dictionary has {n} latents in {d} dimensions; need n_latents ≥ 1 and d ≥ 2"
        )
    architecture.check(config)
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


def _kaiming_uniform(shape: tuple[int, int], fan_in: int, generator: torch.Generator) -> Tensor:
    """Kaiming uniform initialization (He et al., 1502.01852) with gain √2: ±√(6 / fan_in)."""
    return torch.empty(shape).uniform_(-1, 1, generator=generator).mul_(math.sqrt(6 / fan_in))
