"""Gemma Scope (`params.npz`) and Gemma Scope 2 (`params.safetensors`), as downloaded, read only.

JumpReLU with encoder d × n and decoder n × d; the decoder bias is not subtracted before the encoder
(Lieberum et al., 2408.05147; sae-lens 6.54.12, `gemma_2_sae_huggingface_loader` and
`gemma_3_sae_huggingface_loader`). SAEs on embeddings were trained on embeddings times √d; the
loader divides the encoder by √d and multiplies the decoder by it, which is done here for a path
whose folder is called `embedding`.
"""

import re
from pathlib import Path
from typing import Any

from seedstability.dictionaries.formats.format import (
    Checkpoint,
    Format,
    of_unknown_training,
    rectified,
)
from seedstability.dictionaries.formats.settings import read_settings
from seedstability.dictionaries.formats.weights import Weights, read_npz, read_safetensors
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_TENSORS = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
_TENSORS_2 = ("w_enc", "b_enc", "w_dec", "b_dec", "threshold")
_SKIP = "affine_skip_connection"
_SETTINGS_2 = "config.json"
_IN_PATH = re.compile(r"(layer|width|average_l0|l0)_([\w.]+?)(?=_l0_|_width_|$)|^(embedding)$")


def read(files: Checkpoint) -> SAE:
    """Read an SAE of Gemma Scope.

    Raises:
        UserError: a damaged file.
    """
    weights = read_npz(files.weights, _TENSORS)
    sae = _sae(weights, *_TENSORS)
    if "embedding" not in files.weights.resolve().parts[-4:-1]:
        return sae
    root = sae.decoder.shape[1] ** 0.5
    sae.encoder.div_(root)
    sae.decoder.mul_(root)
    return sae


def read_2(files: Checkpoint) -> SAE:
    """Read an SAE of Gemma Scope 2.

    Raises:
        UserError: a damaged file, or a transcoder.
    """
    if files.more:
        settings = read_settings(files.more[0])
        if settings.word("architecture", "jump_relu") != "jump_relu":
            raise settings.wrong("architecture", "jump_relu")
        settings.without("hf_hook_point_out", "affine_connection")
    weights = read_safetensors(files.weights, {*_TENSORS_2, _SKIP})
    if _SKIP in weights.tensors and weights.tensors[_SKIP].any():
        raise UserError(f"{files.weights}: {_SKIP} is not zero; transcoders are not autoencoders")
    return _sae(weights, *_TENSORS_2)


def _sae(weights: Weights, encoder: str, b_enc: str, decoder: str, b_dec: str, at: str) -> SAE:
    n, d = weights.matrix(decoder)
    return SAE(
        weights.take(encoder, d, n).t().contiguous(),
        weights.take(b_enc, n),
        weights.take(decoder, n, d),
        weights.take(b_dec, d),
        rectified(weights.take(at, n)),
        of_unknown_training("jumprelu", n, centered=False),
    )


def _stated(weights: Path) -> dict[str, Any]:
    """Layer, width and sparsity in the names of the last folders, such as `layer_12/width_16k`."""
    found = {}
    for part in weights.resolve().parts[-4:-1]:
        for name, value, embedding in _IN_PATH.findall(part):
            found[name or "layer"] = value or embedding
    return found


FORMAT = Format("params.npz", None, read, stated=_stated)
FORMAT_2 = Format(
    "params.safetensors",
    None,
    read_2,
    optional=(_SETTINGS_2,),
    stated=_stated,
)
