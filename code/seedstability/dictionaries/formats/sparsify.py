"""Checkpoint format of sparsify (EleutherAI): `cfg.json` + `sae.safetensors`.

Both matrices are stored as n × d. According to eai-sparsify 1.3.3, `SparseCoder`, the decoder bias
is subtracted first, and the k largest of the rectified pre-activations are kept. Trained with
`multi_topk`, its `forward` also reconstructs from 4k latents for that loss; `encode` and `decode`,
which are read here, use k.
"""

import torch

from seedstability.dictionaries.formats.format import Checkpoint, Files, Format, of_unknown_training
from seedstability.dictionaries.formats.settings import Settings
from seedstability.dictionaries.formats.weights import read_safetensors
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_TENSORS = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
# Features beyond an autoencoder: a skip connection, another target, a token table that is
# subtracted, or (in the first versions) selection by magnitude.
_UNSUPPORTED = ("skip_connection", "transcode", "embed_skip", "gram_lookup", "signed")


def read(files: Checkpoint) -> SAE:
    """Read an SAE of sparsify.

    Raises:
        UserError: a damaged file, or unsupported settings.
    """
    settings = files.read_settings()
    settings.without(*_UNSUPPORTED)
    if settings.word("activation", "topk") != "topk":
        raise settings.wrong("activation", "topk")
    d = settings.whole("d_in")
    n, k = _latents(settings, d), settings.whole("k")
    if k > n:
        raise settings.wrong("k", f"in 1…{n}, the number of latents")
    weights = read_safetensors(files.weights, _TENSORS)
    return SAE(
        weights.take("encoder.weight", n, d),
        weights.take("encoder.bias", n),
        weights.take("W_dec", n, d),
        weights.take("b_dec", d),
        torch.zeros(n),
        of_unknown_training("topk", n, k, centered=True),
    )


def write(sae: SAE) -> Files:
    """Contents of the files of an SAE.

    Raises:
        UserError: an SAE that sparsify does not support.
    """
    config = sae.config
    if config.architecture != "topk":
        raise UserError(
            f"architecture is {config.architecture}; sparsify supports topk alone: use saelens or "
            "seedstability"
        )
    if not config.rectify:
        raise UserError(
            "rectify is False; sparsify sets negative latents to zero: use seedstability"
        )
    if not config.bias_before_encoder and sae.decoder_bias.any():
        raise UserError(
            "bias_before_encoder is False; sparsify subtracts the bias first: use saelens or "
            "seedstability"
        )
    settings = {
        "activation": "topk",
        "expansion_factor": 32,  # always present, ignored if num_latents is given
        "normalize_decoder": config.unit_norm_decoder,
        "num_latents": sae.decoder.shape[0],
        "k": config.k,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": sae.decoder.shape[1],
    }
    tensors = (sae.encoder, sae.encoder_bias, sae.decoder, sae.decoder_bias)
    return Files(settings, dict(zip(_TENSORS, tensors, strict=True)))


def _latents(settings: Settings, d: int) -> int:
    # Without num_latents, or with 0, the expansion factor counts.
    if settings.values.get("num_latents"):
        return settings.whole("num_latents")
    return d * settings.whole("expansion_factor")


FORMAT = Format("sae.safetensors", "cfg.json", read, write)
