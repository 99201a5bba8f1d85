"""Checkpoint format of SAELens, versions 1 to 6: `cfg.json` + `sae_weights.safetensors`.

The encoder is stored as W_enc (d × n), the decoder as W_dec (n × d). Inference of its classes,
according to sae-lens 6.54.12 (`saes/`) and, for older settings, `handle_pre_6_0_config`:

- `standard`; `topk` (ReLU on the k kept); `jumprelu` (ReLU, then latents above the threshold);
  `gated`, whose gate is a threshold. Up to version 5 with a `tanh` after the ReLU, if asked for.
- `batchtopk` and `matryoshka_batchtopk` occur only in training checkpoints. The library saves them
  for inference as `jumprelu` with one threshold; they are read as such.
- `rescale_acts_by_decoder_norm`: pre-activations are multiplied by the decoder norms, and the
  decoder is normalized. Both are folded into encoder and decoder here.
- `expected_average_only_in`: trained on activations times a factor, which is folded into the
  weights at the end of training. An earlier checkpoint has it in `activation_scaler.json`, or up
  to version 5 nowhere: it is √d over the mean norm of the activations. It is folded here.
- `layer_norm` and `constant_norm_rescale` normalize each sample.
- Fine-tuning (up to version 5) scales each latent before the decoder; folded into the decoder.
- All is computed in the type that the settings name. In half precision that moves latents across
  their thresholds, so it is done here too (`ForeignSAE`), for what needs no folding.
"""

import math
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.foreign import ForeignSAE, Normalization
from seedstability.dictionaries.formats.format import (
    Checkpoint,
    Encoder,
    Files,
    Format,
    norms,
    of_unknown_training,
    rectified,
    ungated,
)
from seedstability.dictionaries.formats.settings import Settings, read_settings
from seedstability.dictionaries.formats.weights import Weights, read_safetensors
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

Kind = Literal["standard", "topk", "jumprelu", "gated", "batchtopk"]
_KINDS: dict[str, Kind] = {
    "standard": "standard",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "gated": "gated",
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
_TENSORS = {"W_enc", "W_dec", "b_dec", "scaling_factor", "finetuning_scaling_factor"}
_OF_KIND: dict[Kind, set[str]] = {
    "standard": {"b_enc"},
    "topk": {"b_enc"},
    "jumprelu": {"b_enc", "threshold", "log_threshold"},
    "gated": {"b_gate", "r_mag", "b_mag"},
    "batchtopk": {"b_enc", "topk_threshold"},
}
_HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}
_SCALER = "activation_scaler.json"
_SPARSITY = "sparsity.safetensors"
_NEVER = 1e-14
"""Rates below are rounding of 10⁻¹⁰ in single precision: never."""
_NORMALIZE, _AVERAGE = "normalize_activations", "expected_average_only_in"
# The first version with this layout; SAELens reads settings without a version as an older layout.
_VERSION = "6.0.0"


def read(files: Checkpoint) -> SAE:
    """Read an SAE of SAELens.

    Raises:
        UserError: a damaged file, or unsupported settings.
    """
    settings = files.read_settings()
    kind = _kind(settings)
    n, d = settings.whole("d_sae"), settings.whole("d_in")
    config = _config(settings, kind, n)
    weights = read_safetensors(files.weights, _TENSORS | _OF_KIND[kind])
    fine_tuned = _fine_tuned(settings, weights, n)
    scale = _input_scale(settings, files, d)
    rescaled = kind in ("topk", "batchtopk") and settings.flag(
        "rescale_acts_by_decoder_norm", kind == "batchtopk"
    )
    encoder, encoder_bias, threshold = _encoder(weights, kind, n, d, scale)
    decoder = weights.take("W_dec", n, d).div_(scale)
    if rescaled:
        lengths = norms(decoder)
        encoder.mul_(lengths[:, None])
        encoder_bias.mul_(lengths)
        decoder.div_(lengths[:, None])
        threshold = threshold / scale
    if fine_tuned is not None:
        decoder.mul_(fine_tuned[:, None])
    bias = weights.take("b_dec", d).div_(scale)
    sae = SAE(encoder, encoder_bias, decoder, bias, rectified(threshold), config)
    folded = rescaled or fine_tuned is not None or scale != 1 or kind == "gated"
    return _as_computed(sae, settings, folded)


def stated_firing(folder: Path, n: int) -> Float[Tensor, " n"] | None:
    """Firing rates in the last window of training, from `sparsity.safetensors`; `None` without.

    The file has log₁₀(rate + 1e-10) (sae-lens 6.54.12, `sae_trainer.py`).

    Raises:
        UserError: a damaged file.
    """
    path = folder / _SPARSITY
    if not path.is_file():
        return None
    rates = 10 ** read_safetensors(path, {"sparsity"}).take("sparsity", n).double() - 1e-10
    return rates.float().where(rates > _NEVER, 0.0)


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
    key, activation = _activation(settings)
    if activation == "topk" and name in ("standard", "topk"):
        settings.part("activation_fn_kwargs").without("signed")
        return "topk"
    if activation not in ("relu", "tanh-relu"):
        raise settings.wrong(key, "relu, tanh-relu, or topk with architecture standard")
    return _KINDS[name]


def _activation(settings: Settings) -> tuple[str, str]:
    """Name and value of the setting of the activation function, which version 6 has no longer."""
    for key in ("activation_fn_str", "activation_fn"):
        if key in settings.values:
            return key, settings.word(key)
    return "activation_fn", "relu"


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
    if kind == "gated":
        return of_unknown_training("jumprelu", n, centered=centered)
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


def _encoder(weights: Weights, kind: Kind, n: int, d: int, scale: float) -> Encoder:
    directions = weights.take("W_enc", d, n).t().contiguous().mul_(scale)
    if kind == "gated":
        gate, log_magnitude, bias = (weights.take(name, n) for name in ("b_gate", "r_mag", "b_mag"))
        return ungated(directions, gate, log_magnitude, bias)
    return Encoder(directions, weights.take("b_enc", n), _threshold(weights, kind, n))


def _threshold(weights: Weights, kind: Kind, n: int) -> Float[Tensor, " n"]:
    if kind == "batchtopk":
        return weights.take("topk_threshold").expand(n).clone()
    if kind == "jumprelu" and "log_threshold" in weights.tensors:
        return weights.take("log_threshold", n).exp()
    return weights.take("threshold", n) if kind == "jumprelu" else torch.zeros(n)


def _fine_tuned(settings: Settings, weights: Weights, n: int) -> Float[Tensor, " n"] | None:
    """Factors on latents from fine-tuning; `None` without."""
    for name in ("finetuning_scaling_factor", "scaling_factor"):
        # Older versions wrote the factors into every file; they are 1 without fine-tuning.
        if name in weights.tensors and (weights.take(name, n) != 1).any():
            if not settings.flag("finetuning_scaling_factor", False):
                raise settings.wrong(
                    "finetuning_scaling_factor", f"true: {weights.path.name} has a {name}"
                )
            return weights.take(name, n)
    return None


def _as_computed(sae: SAE, settings: Settings, folded: bool) -> SAE:
    """The SAE, with the conventions that its settings name."""
    named: Any = settings.values.get(_NORMALIZE)
    normalization: Normalization = named if named in get_args(Normalization) else "none"
    tanh = _activation(settings)[1] == "tanh-relu"
    kind = str(settings.values.get("dtype", "float32")).removeprefix("torch.")
    if folded and kind in _HALF:
        raise settings.wrong(
            "dtype",
            "float32 or float64 for a gated, rescaled or fine-tuned SAE: in half precision it is"
            " not reproduced",
        )
    if normalization == "none" and not tanh and kind not in _HALF:
        return sae
    dtype = _HALF.get(kind, torch.float32)
    # As loaded there: weights in the type of the settings, whatever that of the file.
    parts = {name: part.to(dtype).float() for name, part in sae.parts().items()}
    return ForeignSAE(
        **parts, config=sae.config, normalization=normalization, tanh=tanh, dtype=dtype
    )


def _input_scale(settings: Settings, files: Checkpoint, d: int) -> float:
    value = settings.values.get(_NORMALIZE)
    # Early versions had a flag, or null.
    if value in (None, False, *get_args(Normalization)):
        return 1.0
    if value not in (True, _AVERAGE):
        known = (*get_args(Normalization), _AVERAGE)
        raise settings.wrong(_NORMALIZE, f"one of {', '.join(known)}")
    if files.more:
        scaler = read_settings(files.more[0])
        scaler.without("has_whitening")
        return scaler.number("scaling_factor")
    if files.mean_norm is None:
        raise settings.wrong(
            _NORMALIZE,
            f"none without {_SCALER}, which has the factor, or activations, whose mean norm gives"
            " it (fold_activation_norm_scaling_factor)",
        )
    return math.sqrt(d) / files.mean_norm(d)


FORMAT = Format("sae_weights.safetensors", "cfg.json", read, write, optional=(_SCALER,))
