"""How far two right reconstructions in float32 can be apart, and where the question has no answer.

A sum of m float32 products is off by at most about m·u of the sum of their magnitudes, u = 2⁻²⁴
(Higham, Accuracy and Stability, section 3.1). A pre-activation is such a sum of d products, and an
error there travels through the decoder if its latent is on; the reconstruction is another one, of
as many products as latents are on. `_MORE` stands for the roundings beside the sums: a bias, a
folded scale, a norm and its inverse.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries.sae import SAE

_U = 2.0**-24
_MORE = 8


def bound(sae: SAE, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """The largest difference between two of them."""
    on = sae.encode(x).double()
    decoder = sae.decoder.double().abs()
    from_encoder = (_error(sae, x) * (on != 0)) @ decoder
    terms = (on != 0).sum(1, keepdim=True) + _MORE
    from_decoder = terms * _U * (on.abs() @ decoder + sae.decoder_bias.double().abs())
    return 2 * (from_encoder + from_decoder)


def decided(sae: SAE, x: Float[Tensor, "b d"]) -> Bool[Tensor, " b"]:
    """Samples whose latents are on or off whatever the rounding."""
    pre = _centred(sae, x) @ sae.encoder.double().t() + sae.encoder_bias
    error = 2 * _error(sae, x)
    if sae.config.architecture == "relu":
        return torch.ones(len(x), dtype=torch.bool)
    if sae.config.architecture == "topk":
        best, which = pre.relu().topk(sae.config.k + 1, dim=1)
        gap = best[:, -2] - best[:, -1]
        return (gap > error.gather(1, which[:, -2:]).sum(1)) | (best[:, -2] == 0)
    # At a threshold of zero nothing jumps.
    return (((pre - sae.threshold).abs() > error) | (sae.threshold == 0)).all(1)


def _error(sae: SAE, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
    sums = _centred(sae, x).abs() @ sae.encoder.double().abs().t() + sae.encoder_bias.double().abs()
    return (x.shape[1] + _MORE) * _U * sums


def _centred(sae: SAE, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    return x.double() - sae.decoder_bias * sae.config.bias_before_encoder
