"""Checkpoint format of SAELens, versions 1 to 6: `cfg.json` + `sae_weights.safetensors`.

The encoder is stored as W_enc (d × n), the decoder as W_dec (n × d). Inference of its classes,
according to sae-lens 6.54.12 (`saes/`) and, for older settings, `handle_pre_6_0_config`:

- `standard`; `topk` (ReLU on the k kept); `jumprelu` (ReLU, then latents above the threshold).
- `batchtopk` and `matryoshka_batchtopk` occur only in training checkpoints. The library saves them
  for inference as `jumprelu` with one threshold; they are read as such.
- `rescale_acts_by_decoder_norm`: pre-activations are multiplied by the decoder norms, and the
  decoder is normalized. Both are folded into encoder and decoder here.
- `expected_average_only_in`: trained on activations times a factor, which is folded into the
  weights at the end of training. An earlier checkpoint has it in `activation_scaler.json`; it is
  folded here.
"""

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.formats.format import (
    Files,
    Format,
    norms,
    of_unknown_training,
    rectified,
)
from seedstability.dictionaries.formats.settings import Settings, read_settings
from seedstability.dictionaries.formats.weights import Weights, read_safetensors
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

Kind = Literal["standard", "topk", "jumprelu", "batchtopk"]
_KINDS: dict[str, Kind] = {
    "standard": "standard",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "batchtopk": "batchtopk",
    "matryoshka_batchtopk": "batchtopk",
}
_WRITTEN: dict[str, Kind] = {
    "topk": "topk",
    "batch_topk": "jumprelu",
    "relu": "standard",
    "jumprelu": "jumprelu",
}
"""By our architecture, the kind that encodes alike."""
_TENSORS = {"W_enc", "b_enc", "W_dec", "b_dec", "scaling_factor"}
_THRESHOLDS: dict[Kind, set[str]] = {
    "standard": set(),
    "topk": set(),
    "jumprelu": {"threshold", "log_threshold"},
    "batchtopk": {"topk_threshold"},
}
_SCALER = "activation_scaler.json"
# The first version with this layout; SAELens reads settings without a version as an older layout.
_VERSION = "6.0.0"


def read(folder: Path) -> SAE:
    """Read an SAE of SAELens.

    Raises:
        UserError: a damaged file, or unsupported settings.
    """
    settings = read_settings(folder / FORMAT.settings)
    kind = _kind(settings)
    n, d = settings.whole("d_sae"), settings.whole("d_in")
    config = _config(settings, kind, n)
    weights = read_safetensors(folder / FORMAT.weights, _TENSORS | _THRESHOLDS[kind])
    _refuse_finetuned(weights, n)
    scale = _input_scale(settings, folder)
    rescaled = kind in ("topk", "batchtopk") and settings.flag(
        "rescale_acts_by_decoder_norm", kind == "batchtopk"
    )
    encoder = weights.take("W_enc", d, n).t().contiguous().mul_(scale)
    encoder_bias = weights.take("b_enc", n)
    decoder = weights.take("W_dec", n, d).div_(scale)
    threshold = _threshold(weights, kind, n)
    if rescaled:
        lengths = norms(decoder)
        encoder.mul_(lengths[:, None])
        encoder_bias.mul_(lengths)
        decoder.div_(lengths[:, None])
        threshold /= scale
    bias = weights.take("b_dec", d).div_(scale)
    return SAE(encoder, encoder_bias, decoder, bias, rectified(threshold), config)


def write(sae: SAE) -> Files:
    """Contents of the files of an SAE.

    Raises:
        UserError: an SAE that SAELens does not support.
    """
    config = sae.config
    kind = _WRITTEN.get(config.architecture)
    if kind is None:
        raise UserError(
            f"architecture is {config.architecture}; SAELens has none like it: use seedstability"
        )
    if kind == "topk" and not config.rectify:
        raise UserError(
            "rectify is False; SAELens sets negative latents to zero: use seedstability"
        )
    if kind == "jumprelu" and (sae.threshold < 0).any():
        raise UserError(
            "threshold is negative; SAELens sets negative latents to zero: use seedstability"
        )
    metadata: dict = {"sae_lens_version": _VERSION, "sae_lens_training_version": None}
    settings = {
        "architecture": kind,
        "d_in": sae.decoder.shape[1],
        "d_sae": sae.decoder.shape[0],
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": config.bias_before_encoder,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": metadata,
    }
    weights = {
        "W_enc": sae.encoder.t(),
        "b_enc": sae.encoder_bias,
        "W_dec": sae.decoder,
        "b_dec": sae.decoder_bias,
    }
    if kind == "topk":
        settings |= {"k": config.k, "rescale_acts_by_decoder_norm": False}
    if kind == "jumprelu":
        weights["threshold"] = sae.threshold
    if architecture_of(config).reads_k and kind != "topk":
        # SAELens records the architecture of training in this way.
        metadata["training_architecture"] = "batchtopk"
        metadata["training_architecture_details"] = {"k": config.k}
    return Files(settings, weights)


def _kind(settings: Settings) -> Kind:
    name = settings.word("architecture", "standard")
    if name not in _KINDS:
        raise settings.wrong("architecture", f"one of {', '.join(_KINDS)}")
    # Up to version 5 the activation function was a separate setting, with two names.
    for key in ("activation_fn_str", "activation_fn"):
        activation = settings.word(key, "relu")
        if activation == "topk" and name in ("standard", "topk"):
            settings.part("activation_fn_kwargs").without("signed")
            return "topk"
        if activation != "relu":
            raise settings.wrong(key, "relu, or topk with architecture standard")
    return _KINDS[name]


def _config(settings: Settings, kind: Kind, n: int) -> DictionaryConfig:
    centered = settings.flag("apply_b_dec_to_input", True)
    if kind == "topk":
        holder = settings if "k" in settings.values else settings.part("activation_fn_kwargs")
        k = holder.whole("k")
        if k > n:
            raise holder.wrong("k", f"in 1…{n}, the number of latents")
        return of_unknown_training("topk", n, k, centered=centered)
    if kind == "standard":
        return of_unknown_training("relu", n, centered=centered)
    k_of_training = settings.number("k") if kind == "batchtopk" else _batch_topk(settings)
    if k_of_training is None:
        return of_unknown_training("jumprelu", n, centered=centered)
    # k may be a fraction in SAELens; inference uses the threshold alone.
    k = min(max(1, round(k_of_training)), n)
    return of_unknown_training("batch_topk", n, k, centered=centered)


def _batch_topk(settings: Settings) -> float | None:
    """k of a `jumprelu` that was trained as BatchTopK, else None."""
    metadata = settings.values.get("metadata")
    if not isinstance(metadata, dict) or "training_architecture_details" not in metadata:
        return None
    trained = settings.part("metadata")
    if _KINDS.get(trained.word("training_architecture", "")) != "batchtopk":
        return None
    return trained.part("training_architecture_details").number("k")


def _threshold(weights: Weights, kind: Kind, n: int) -> Float[Tensor, " n"]:
    if kind == "batchtopk":
        return weights.take("topk_threshold").expand(n).clone()
    if kind == "jumprelu" and "log_threshold" in weights.tensors:
        return weights.take("log_threshold", n).exp()
    return weights.take("threshold", n) if kind == "jumprelu" else torch.zeros(n)


def _refuse_finetuned(weights: Weights, n: int) -> None:
    # Older versions wrote the factors into every file; they are 1 without fine-tuning.
    if "scaling_factor" in weights.tensors and (weights.take("scaling_factor", n) != 1).any():
        raise UserError(
            f"{weights.path}: scaling_factor is not 1; fine-tuned SAEs are not supported"
        )


def _input_scale(settings: Settings, folder: Path) -> float:
    key = "normalize_activations"
    value = settings.values.get(key)
    # Early versions had a flag, or null.
    if value in (None, False, "none"):
        return 1.0
    if value not in (True, "expected_average_only_in"):
        raise settings.wrong(key, "none or expected_average_only_in")
    if not (folder / _SCALER).exists():
        raise settings.wrong(
            key,
            f"none without {_SCALER}, which has the factor (fold_activation_norm_scaling_factor)",
        )
    scaler = read_settings(folder / _SCALER)
    scaler.without("has_whitening")
    return scaler.number("scaling_factor")


FORMAT = Format("cfg.json", "sae_weights.safetensors", read, write, (_SCALER,))
