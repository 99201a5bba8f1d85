"""SAELens, versions 1 to 6: `cfg.json` + `sae_weights.safetensors`.

Encoder and decoder lie as W_enc (d × n) and W_dec (n × d). What its classes do at inference, read
in sae-lens 6.54.12 (`saes/`) and, for older settings, in `handle_pre_6_0_config`:

- `standard`, `topk` (ReLU on the k kept), `jumprelu` (ReLU, then what exceeds the threshold);
- `batchtopk` and `matryoshka_batchtopk` only in checkpoints of training; the library saves them
  for inference as `jumprelu` with one threshold, and so they are read;
- `rescale_acts_by_decoder_norm`: pre-activations times the lengths of the decoder's rows, whose
  directions are then written. Folded here into encoder and decoder;
- `expected_average_only_in`: trained on activations times a factor, which training folds into the
  weights at its end. A checkpoint from before has it in `activation_scaler.json`: folded here.
"""

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

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
_TENSORS = {"W_enc", "b_enc", "W_dec", "b_dec", "scaling_factor"}
_THRESHOLDS: dict[Kind, set[str]] = {
    "standard": set(),
    "topk": set(),
    "jumprelu": {"threshold", "log_threshold"},
    "batchtopk": {"topk_threshold"},
}
_SCALER = "activation_scaler.json"
# The first with this layout of settings; SAELens reads what says no version as an older layout.
_VERSION = "6.0.0"


def read(folder: Path) -> SAE:
    """The SAE in a folder of SAELens.

    Raises:
        UserError: a file that is damaged, or settings that no SAE here can have.
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
    """Both files of an SAE.

    Raises:
        UserError: it is one that SAELens does not have.
    """
    config = sae.config
    if config.architecture == "topk" and not config.rectify:
        raise UserError(
            "rectify is False; SAELens sets negative latents to zero: take seedstability"
        )
    if config.architecture in ("jumprelu", "batch_topk") and (sae.threshold < 0).any():
        raise UserError(
            "threshold is negative; SAELens sets negative latents to zero: take seedstability"
        )
    metadata: dict = {"sae_lens_version": _VERSION, "sae_lens_training_version": None}
    settings = {
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
    if config.architecture == "topk":
        settings |= {"architecture": "topk", "k": config.k, "rescale_acts_by_decoder_norm": False}
    elif config.architecture == "relu":
        settings |= {"architecture": "standard"}
    else:
        settings |= {"architecture": "jumprelu"}
        weights["threshold"] = sae.threshold
    if config.architecture == "batch_topk":
        # As SAELens itself says of a jumprelu what it was trained as.
        metadata["training_architecture"] = "batchtopk"
        metadata["training_architecture_details"] = {"k": config.k}
    return Files(settings, weights)


def _kind(settings: Settings) -> Kind:
    name = settings.word("architecture", "standard")
    if name not in _KINDS:
        raise settings.wrong("architecture", f"one of {', '.join(_KINDS)}")
    # Up to version 5 the activation function was a setting of its own, under two names.
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
    # Theirs may be a fraction; at inference the threshold alone decides.
    k = min(max(1, round(k_of_training)), n)
    return of_unknown_training("batch_topk", n, k, centered=centered)


def _batch_topk(settings: Settings) -> float | None:
    """Latents kept on average, where a `jumprelu` says that it was trained as BatchTopK."""
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
    # Older versions wrote the factors into every file, all of them 1 where there was no finetuning.
    if "scaling_factor" in weights.tensors and (weights.take("scaling_factor", n) != 1).any():
        raise UserError(f"{weights.path}: scaling_factor is not 1; finetuned SAEs are not read")


def _input_scale(settings: Settings, folder: Path) -> float:
    kept = "normalize_activations"
    said = settings.values.get(kept)
    # Early versions had a flag, and null for no.
    if said in (None, False, "none"):
        return 1.0
    if said not in (True, "expected_average_only_in"):
        raise settings.wrong(kept, "none or expected_average_only_in")
    if not (folder / _SCALER).exists():
        raise settings.wrong(
            kept, f"none where no {_SCALER} says the factor (fold_activation_norm_scaling_factor)"
        )
    scaler = read_settings(folder / _SCALER)
    scaler.without("has_whitening")
    return scaler.number("scaling_factor")


FORMAT = Format("cfg.json", "sae_weights.safetensors", read, write, (_SCALER,))
