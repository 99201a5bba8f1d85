"""SAEs of other libraries that compute in a way that no training here does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.sae import SAE

Normalization = Literal["none", "layer_norm", "constant_norm_rescale"]
"""What SAELens does to each sample before the encoder, and undoes after the decoder."""
Restore = Callable[[Tensor], Tensor]


class _Cast(NamedTuple):
    """Weights in the precision of the library, laid out as it does."""

    encoder: Float[Tensor, "d n"]
    encoder_bias: Float[Tensor, " n"]
    decoder: Float[Tensor, "n d"]
    decoder_bias: Float[Tensor, " d"]
    threshold: Float[Tensor, " n"]


@dataclass(frozen=True)
class ForeignSAE(SAE):
    """An SAE with per-sample normalization, another nonlinearity, or half precision.

    Products, sums and selections are taken in the order and the precision of sae-lens 5.10.6 and
    6.54.12 (`process_sae_in`, `encode`, `decode`). The latents belong to normalized samples.
    """

    normalization: Normalization = "none"
    """Normalization of each sample."""
    tanh: bool = False
    """Whether a tanh follows the ReLU."""
    dtype: torch.dtype = torch.float32
    """Precision that samples and weights are cast to; results are float32."""

    def encode(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Compute the latents of each sample."""
        return self.encode_and_reconstruct(x)[0]

    def decode(self, latents: Float[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """Map latents to activations, normalized ones if samples are."""
        weights = self._cast
        return latents.to(self.dtype) @ weights.decoder + weights.decoder_bias

    def encode_and_reconstruct(
        self, x: Float[Tensor, "b d"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b d"]]:
        """Compute the latents of each sample, and the reconstruction from them."""
        weights = self._cast
        normalized, restore = _NORMALIZATIONS[self.normalization](x.to(self.dtype))
        centered = normalized
        if self.config.bias_before_encoder:
            centered = normalized - weights.decoder_bias
        latents = self._activate(centered @ weights.encoder + weights.encoder_bias)
        return latents.float(), restore(self.decode(latents)).float()

    def _activate(self, pre: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        if self.config.architecture == "topk":
            values, places = pre.topk(self.config.k, dim=-1, sorted=False)
            return torch.zeros_like(pre).scatter_(-1, places, values.relu())
        active = pre.relu().tanh() if self.tanh else pre.relu()
        if self.config.architecture == "relu":
            return active
        return active * (pre > self._cast.threshold)

    @cached_property
    def _cast(self) -> _Cast:
        return _Cast(
            self.encoder.to(self.dtype).t().contiguous(),
            self.encoder_bias.to(self.dtype),
            self.decoder.to(self.dtype),
            self.decoder_bias.to(self.dtype),
            self.threshold.to(self.dtype),
        )


def _as_it_is(x: Tensor) -> tuple[Tensor, Restore]:
    return x, lambda made: made


def _layer_norm(x: Tensor) -> tuple[Tensor, Restore]:
    mean = x.mean(dim=-1, keepdim=True)
    centered = x - mean
    spread = centered.std(dim=-1, keepdim=True)
    return centered / (spread + 1e-5), lambda made: made * spread + mean


def _constant_norm(x: Tensor) -> tuple[Tensor, Restore]:
    # A sample of zeros has no norm to rescale; there the library returns NaN.
    length = x.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    factor = x.shape[-1] ** 0.5 / length
    return x * factor, lambda made: made / factor


_NORMALIZATIONS: dict[Normalization, Callable[[Tensor], tuple[Tensor, Restore]]] = {
    "none": _as_it_is,
    "layer_norm": _layer_norm,
    "constant_norm_rescale": _constant_norm,
}
