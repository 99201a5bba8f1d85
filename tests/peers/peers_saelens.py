"""Run in the peers' environment: SAELens writes checkpoints, and reads ours."""

import copy
import json

import torch
from peers_random import THRESHOLD, D, K, N, fill
from sae_lens import (
    SAE,
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    GatedSAE,
    GatedSAEConfig,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    JumpReLUTrainingSAE,
    JumpReLUTrainingSAEConfig,
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
    StandardSAE,
    StandardSAEConfig,
    StandardTrainingSAE,
    StandardTrainingSAEConfig,
    TopKSAE,
    TopKSAEConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
    Transcoder,
    TranscoderConfig,
)
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

SIZES = {"d_in": D, "d_sae": N}
MATRYOSHKA = {"matryoshka_widths": [N // 4, N]}
BF16 = {"dtype": "bfloat16"}
UNFOLDED = {"normalize_activations": "expected_average_only_in"}

INFERENCE = {
    "standard": (StandardSAE, StandardSAEConfig, {}),
    "standard_bias_only_added": (StandardSAE, StandardSAEConfig, {"apply_b_dec_to_input": False}),
    "standard_bf16": (StandardSAE, StandardSAEConfig, BF16),
    "topk": (TopKSAE, TopKSAEConfig, {"k": K}),
    "topk_rescaled": (TopKSAE, TopKSAEConfig, {"k": K, "rescale_acts_by_decoder_norm": True}),
    "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
    "gated": (GatedSAE, GatedSAEConfig, {}),
    "layer_norm": (StandardSAE, StandardSAEConfig, {"normalize_activations": "layer_norm"}),
    "layer_norm_topk": (TopKSAE, TopKSAEConfig, {"k": K, "normalize_activations": "layer_norm"}),
    "constant_norm": (
        JumpReLUSAE,
        JumpReLUSAEConfig,
        {"normalize_activations": "constant_norm_rescale"},
    ),
    "jumprelu_bf16": (JumpReLUSAE, JumpReLUSAEConfig, BF16),
    "topk_bf16": (TopKSAE, TopKSAEConfig, {"k": K, **BF16}),
    "jumprelu_f16": (JumpReLUSAE, JumpReLUSAEConfig, {"dtype": "float16"}),
    "jumprelu_bias_only_added": (JumpReLUSAE, JumpReLUSAEConfig, {"apply_b_dec_to_input": False}),
}
TRAINING = {
    "training_standard": (StandardTrainingSAE, StandardTrainingSAEConfig, {}),
    "training_topk": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": K}),
    "training_jumprelu": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig, {}),
    "training_batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {"k": K + 0.5}),
    "training_batchtopk_not_rescaled": (
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        {"k": K, "rescale_acts_by_decoder_norm": False},
    ),
    "training_matryoshka": (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": K, **MATRYOSHKA},
    ),
}
UNFOLDED_KINDS = ("training_standard", "training_topk", "training_batchtopk")
REFUSED = {
    "transcoder": (Transcoder, TranscoderConfig, {"d_out": D, "apply_b_dec_to_input": False}),
    "not_folded": (StandardSAE, StandardSAEConfig, UNFOLDED),
}


def make(kind, **more):
    sae_class, config_class, settings = kind
    sae = fill(sae_class(config_class(**SIZES, **settings, **more)))
    if hasattr(sae, "topk_threshold"):
        sae.topk_threshold.fill_(THRESHOLD)
    return sae


def write(folder):
    """A checkpoint under each name; yields the name and who reconstructs."""
    for name, kind in INFERENCE.items():
        make(kind).save_model(folder(name))
        yield name, SAE.load_from_disk(folder(name))
    for name, kind in TRAINING.items():
        sae = make(kind)
        sae.save_model(folder(name))
        yield name, inference(sae, folder(f"{name}_for_inference"))
        yield f"{name}_for_inference", SAE.load_from_disk(folder(f"{name}_for_inference"))
    for name in UNFOLDED_KINDS:
        sae = make(TRAINING[name], **UNFOLDED)
        save_half_way(sae, folder(f"{name}_half_way"), 0.37)
        sae.fold_activation_norm_scaling_factor(0.37)
        yield f"{name}_half_way", inference(sae, folder(f"{name}_folded"))
        yield f"{name}_folded", SAE.load_from_disk(folder(f"{name}_folded"))
    for name, change in OLDER.items():
        source = name.split("_")[1]
        make(INFERENCE[source]).save_model(folder(name))
        settings = folder(name) / "cfg.json"
        settings.write_text(json.dumps(change(json.loads(settings.read_text()))))
        yield name, SAE.load_from_disk(folder(name))


def inference(sae, folder):
    copy.deepcopy(sae).save_inference_model(folder)
    return SAE.load_from_disk(folder)


def save_half_way(sae, folder, scale):
    config = SAETrainerConfig(
        total_training_samples=100,
        train_batch_size_samples=10,
        device="cpu",
        lr_end=1e-4,
        save_final_checkpoint=False,
    )
    trainer = SAETrainer(config, sae, iter(()))
    trainer.activation_scaler.scaling_factor = scale
    trainer.save_checkpoint(folder.name, base_path=folder.parent)


def version_5(settings):
    """The settings as version 5 wrote them: no metadata, the activation function apart."""
    older = {
        "architecture": "standard",
        "activation_fn_str": "relu",
        "activation_fn_kwargs": {},
        "finetuning_scaling_factor": False,
        "sae_lens_training_version": "5.0.0",
        "model_name": "none",
        "hook_name": "blocks.0.hook_resid_post",
    }
    kept = ("d_in", "d_sae", "dtype", "device", "apply_b_dec_to_input", "normalize_activations")
    older |= {key: settings[key] for key in kept}
    if settings["architecture"] == "topk":
        older |= {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": settings["k"]}}
    if settings["architecture"] == "jumprelu":
        older |= {"architecture": "jumprelu"}
    return older


def version_1(settings):
    """As early ones did: flags for words, and much left out."""
    kept = {key: settings[key] for key in ("d_in", "d_sae", "dtype", "device")}
    return {**kept, "activation_fn": "relu", "normalize_activations": False, "hook_point": "x"}


OLDER = {
    "older_standard": version_5,
    "older_topk": version_5,
    "older_jumprelu": version_5,
    "oldest_standard": version_1,
}


def write_refused(folder):
    for name, kind in REFUSED.items():
        make(kind).save_model(folder(name))


def read(folder):
    sae = SAE.load_from_disk(folder)
    assert sae.W_dec.dtype == torch.float32
    return sae
