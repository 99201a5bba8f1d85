"""Checkpoint format of dictionary_learning (saprmarks), read only: `config.json` + `ae.pt`.

The settings name the class. According to dictionary-learning 0.1.0, `dictionary.py` and
`trainers/`: classes with linear layers store the encoder as n × d and the decoder as d × n, the
others as d × n and n × d. At inference `BatchTopKSAE` and its Matryoshka form keep what exceeds one
threshold; it is negative if training never set it, and all positive latents are then kept.
`JumpReluAutoEncoder` does not subtract the decoder bias; its flag for that is never saved. The gate
of `GatedAutoEncoder` is a threshold.

Besides `ae.pt`, `checkpoints/ae_N.pt` of a step N is read with the settings one folder up. The
`ae.pt` of a run with `backup_steps` that did not end holds the SAE of scaled activations beside
`norm_factor`, by which the library multiplies biases and thresholds at the end of training
(`scale_biases` in canrager/dictionary_learning, `training.py`); that is done here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.formats.format import (
    Checkpoint,
    Format,
    of_unknown_training,
    rectified,
    ungated,
)
from seedstability.dictionaries.formats.settings import Settings
from seedstability.dictionaries.formats.weights import Weights, read_pickled
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_LINEAR = ("encoder.weight", "encoder.bias", "decoder.weight")
_GATED = ("encoder.weight", "mag_bias", "decoder.weight")
_PLAIN = ("W_enc", "b_enc", "W_dec")


@dataclass(frozen=True)
class _Class:
    """One of the library's SAE classes."""

    architecture: str
    """Our architecture."""
    matrices: tuple[str, str, str]
    """Names of encoder, encoder bias and decoder."""
    bias: str
    """Name of the decoder bias."""
    centered: bool = True
    """Whether the decoder bias is subtracted before the encoder."""
    more: tuple[str, ...] = ()
    """Names of further tensors: `k`, `threshold`, or of no use to us."""
    thresholds: Literal["none", "one", "each", "gate"] = "none"
    """Whether `threshold` is used, one for all latents or one for each, or a gate."""


_CLASSES = {
    "AutoEncoder": _Class("relu", _LINEAR, "bias"),
    "AutoEncoderNew": _Class("relu", _LINEAR, "decoder.bias", centered=False),
    "AutoEncoderTopK": _Class("topk", _LINEAR, "b_dec", more=("k", "threshold")),
    "BatchTopKSAE": _Class("batch_topk", _LINEAR, "b_dec", True, ("k", "threshold"), "one"),
    "MatryoshkaBatchTopKSAE": _Class(
        "batch_topk", _PLAIN, "b_dec", True, ("k", "threshold", "group_sizes"), "one"
    ),
    "GatedAutoEncoder": _Class(
        "jumprelu", _GATED, "decoder_bias", True, ("gate_bias", "r_mag"), "gate"
    ),
    "JumpReluAutoEncoder": _Class("jumprelu", _PLAIN, "b_dec", False, ("threshold",), "each"),
}


def read(files: Checkpoint) -> SAE:
    """Read an SAE of dictionary_learning. Code in the pickle is not run.

    Raises:
        UserError: a damaged file, or an unsupported class.
    """
    settings = files.read_settings().part("trainer")
    name = settings.word("dict_class")
    if name not in _CLASSES:
        raise settings.wrong("dict_class", f"one of {', '.join(_CLASSES)}")
    spec = _CLASSES[name]
    n, d = settings.whole("dict_size"), settings.whole("activation_dim")
    weights, backup = read_pickled(files.weights, {*spec.matrices, spec.bias, *spec.more})
    encoder, bias, decoder = spec.matrices
    linear = spec.matrices is not _PLAIN
    rows = weights.take(encoder, n, d) if linear else weights.take(encoder, d, n).t().contiguous()
    threshold = _threshold(weights, spec, n)
    if spec.thresholds == "gate":
        gate, magnitude = weights.take("gate_bias", n), weights.take("r_mag", n)
        rows, _, threshold = ungated(rows, gate, magnitude, weights.take(bias, n))
    sae = SAE(
        rows,
        weights.take(bias, n),
        weights.take(decoder, d, n).t().contiguous() if linear else weights.take(decoder, n, d),
        weights.take(spec.bias, d),
        rectified(threshold),
        of_unknown_training(
            spec.architecture, n, _kept(settings, weights, spec, n), centered=spec.centered
        ),
    )
    return sae.rescaled(_norm_factor(backup, files)) if backup else sae


def _norm_factor(backup: Mapping[str, Any], files: Checkpoint) -> float:
    """Factor from the SAE of a backup to that of the activations as they are."""
    factor = backup.get("norm_factor")
    if factor is None:
        return 1.0
    value = factor.item() if isinstance(factor, Tensor) and factor.numel() == 1 else factor
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        raise UserError(f"{files.weights}: norm_factor is {short(value)}; it must be above 0")
    return float(value)


def _threshold(weights: Weights, spec: _Class, n: int) -> Float[Tensor, " n"]:
    if spec.thresholds == "one":
        return weights.take("threshold").expand(n).clone()
    return weights.take("threshold", n) if spec.thresholds == "each" else torch.zeros(n)


def _kept(settings: Settings, weights: Weights, spec: _Class, n: int) -> int | None:
    if "k" not in spec.more:
        return None
    k = settings.whole("k")
    if k > n:
        raise settings.wrong("k", f"in 1…{n}, the number of latents")
    # The library refuses this too; its older files have no k.
    if "k" in weights.tensors and weights.whole("k") != k:
        raise settings.wrong("k", f"{weights.whole('k')}, as {weights.path.name} says")
    return k


FORMAT = Format("ae.pt", "config.json", read)
