"""sparsify (EleutherAI): `cfg.json` + `sae.safetensors`.

Both matrices lie as ours, n × d. Read in eai-sparsify 1.3.3, `SparseCoder`: the decoder's bias is
subtracted first, and of the rectified pre-activations the k largest are kept. Trained with
`multi_topk`, its `forward` gives a reconstruction from 4k latents, which only that loss wants; what
is read is `encode` and `decode`, from k.
"""

from pathlib import Path

import torch

from seedstability.dictionaries.formats.format import Files, Format, of_unknown_training
from seedstability.dictionaries.formats.settings import Settings, read_settings
from seedstability.dictionaries.formats.weights import read_safetensors
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_TENSORS = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
# With these a coder is no autoencoder of one layer: it skips the latents, predicts something else,
# subtracts a table first, or (in the first versions) keeps the largest magnitudes.
_BEYOND = ("skip_connection", "transcode", "embed_skip", "gram_lookup", "signed")


def read(folder: Path) -> SAE:
    """The SAE in a folder of sparsify.

    Raises:
        UserError: a file that is damaged, or settings that no SAE here can have.
    """
    settings = read_settings(folder / FORMAT.settings)
    settings.without(*_BEYOND)
    if settings.word("activation", "topk") != "topk":
        raise settings.wrong("activation", "topk")
    d = settings.whole("d_in")
    n, k = _latents(settings, d), settings.whole("k")
    if k > n:
        raise settings.wrong("k", f"in 1…{n}, the number of latents")
    weights = read_safetensors(folder / FORMAT.weights, _TENSORS)
    return SAE(
        weights.take("encoder.weight", n, d),
        weights.take("encoder.bias", n),
        weights.take("W_dec", n, d),
        weights.take("b_dec", d),
        torch.zeros(n),
        of_unknown_training("topk", n, k, centered=True),
    )


def write(sae: SAE) -> Files:
    """Both files of an SAE.

    Raises:
        UserError: it is one that sparsify does not have.
    """
    config = sae.config
    if config.architecture != "topk":
        raise UserError(
            f"architecture is {config.architecture}; sparsify has topk alone: take saelens or "
            "seedstability"
        )
    if not config.rectify:
        raise UserError(
            "rectify is False; sparsify sets negative latents to zero: take seedstability"
        )
    if not config.bias_before_encoder and sae.decoder_bias.any():
        raise UserError(
            "bias_before_encoder is False; sparsify subtracts the bias first: take saelens or "
            "seedstability"
        )
    settings = {
        "activation": "topk",
        "expansion_factor": 32,  # not read beside num_latents, but always there
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
    # 0 and none at all both mean: as the factor says.
    if settings.values.get("num_latents"):
        return settings.whole("num_latents")
    return d * settings.whole("expansion_factor")


FORMAT = Format("cfg.json", "sae.safetensors", read, write)
