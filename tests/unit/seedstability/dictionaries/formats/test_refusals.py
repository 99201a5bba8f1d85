"""Unsupported SAEs are refused in one line that names the file and the cause."""

import os

import pytest
import torch

from helpers.dictionaries_checkpoints import (
    BIAS,
    DECODER,
    LINEAR_TENSORS,
    THRESHOLD,
    D,
    K,
    N,
    dictionary_learning,
    saelens,
    sparsify,
)
from seedstability.dictionaries.formats.folder import load, recognize
from seedstability.errors import UserError


def refused(folder, message):
    with pytest.raises(UserError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("settings", "tensors", "message"),
    [
        ({"architecture": "temporal"}, {}, r"architecture is 'temporal'; it must be one of stand"),
        ({"architecture": 3}, {}, r"architecture is 3; it must be a string"),
        ({"activation_fn_str": "gelu"}, {}, r"activation_fn_str is 'gelu'; it must be relu, tanh"),
        ({"architecture": "gated"}, {}, r"contains 'b_enc'"),
        (
            {"architecture": "jumprelu", "activation_fn": "topk"},
            {},
            r"activation_fn is 'topk'; it must be relu, tanh-relu, or topk with architect",
        ),
        (
            {"activation_fn": "topk", "activation_fn_kwargs": {"k": K, "signed": True}},
            {},
            r"activation_fn_kwargs\.signed is True",
        ),
        ({"architecture": "topk"}, {}, r"cfg\.json: required key activation_fn_kwargs is missing"),
        ({"architecture": "topk", "k": N + 1}, {}, r"k is 13; it must be in 1…12"),
        ({"architecture": "topk", "k": 2.5}, {}, r"k is 2\.5; it must be a whole number"),
        ({"architecture": "topk", "k": True}, {}, r"k is True; it must be a whole number"),
        ({"d_sae": None}, {}, r"cfg\.json: required key d_sae is missing"),
        ({"d_sae": "12"}, {}, r"d_sae is '12'; it must be a whole number"),
        ({"d_sae": 10**9}, {}, r"W_enc has shape \[5, 12\]; the settings require \[5, 10000"),
        ({"d_sae": 10**400}, {}, r"d_sae is 1000.*; it must be a whole number in 1…2147483648"),
        ({"apply_b_dec_to_input": "no"}, {}, r"apply_b_dec_to_input is 'no'"),
        ({"normalize_activations": "whiten"}, {}, r"is 'whiten'; it must be one of none, layer_"),
        (
            {"dtype": "torch.bfloat16", "architecture": "topk", "k": K}
            | {"rescale_acts_by_decoder_norm": True},
            {},
            r"dtype is 'torch\.bfloat16'; it must be float32 or float64 for a gated, rescaled or",
        ),
        (
            {"normalize_activations": True},
            {},
            r"none without activation_scaler\.json, which has the factor",
        ),
        ({}, {"W_dec": DECODER.t()}, r"W_dec has shape \[5, 12\]; .* require \[12, 5\]"),
        ({}, {"b_dec": None}, r"sae_weights\.safetensors has no b_dec; it contains W_dec, W_enc"),
        ({}, {"W_skip": torch.eye(D)}, r"sae_weights\.safetensors contains 'W_skip'"),
        ({}, {"threshold": THRESHOLD}, r"contains 'threshold'"),
        (
            {},
            {"scaling_factor": torch.full((N,), 1.5)},
            r"finetuning_scaling_factor is None; it must",
        ),
        ({}, {"b_enc": torch.arange(N)}, r"b_enc is torch\.int64; weights are floats"),
        ({"architecture": "batchtopk", "k": 0}, {}, r"k is 0; it must be above 0"),
        ({"architecture": "batchtopk", "k": "x"}, {}, r"k is 'x'; it must be a number"),
        ({"architecture": "jumprelu"}, {}, r"has no threshold"),
    ],
)
def test_saelens(tmp_path, settings, tensors, message):
    refused(saelens(tmp_path / "sae", settings, tensors), message)


@pytest.mark.parametrize(
    ("scaler", "message"),
    [
        ('{"scaling_factor": null}', r"scaling_factor is None; it must be a number"),
        ('{"scaling_factor": 0}', r"scaling_factor is 0; it must be above 0"),
        ('{"scaling_factor": NaN}', r"scaling_factor is nan; it must be above 0"),
        (f'{{"scaling_factor": 1{"0" * 400}}}', r"scaling_factor is 1000.*must be above 0, and"),
        ('{"scaling_factor": 2, "has_whitening": true}', r"has_whitening is True"),
    ],
)
def test_an_invalid_scaler_is_refused(tmp_path, scaler, message):
    folder = saelens(tmp_path / "sae", {"normalize_activations": "expected_average_only_in"})
    (folder / "activation_scaler.json").write_text(scaler)
    assert folder / "activation_scaler.json" in recognize(folder).files
    refused(folder, rf"activation_scaler\.json: {message}")


@pytest.mark.parametrize(
    ("settings", "tensors", "message"),
    [
        ({"activation": "groupmax"}, {}, r"cfg\.json: activation is 'groupmax'; it must be topk"),
        ({"skip_connection": True}, {}, r"skip_connection is True"),
        ({"transcode": True}, {}, r"transcode is True"),
        ({"embed_skip": True}, {}, r"embed_skip is True"),
        ({"gram_lookup": True}, {}, r"gram_lookup is True"),
        ({"signed": True}, {}, r"signed is True"),
        ({"k": N + 1}, {}, r"k is 13; it must be in 1…12"),
        ({"k": None}, {}, r"cfg\.json: required key k is missing"),
        ({"num_latents": 0}, {}, r"cfg\.json: required key expansion_factor is missing"),
        ({"num_latents": 24}, {}, r"encoder\.weight has shape \[12, 5\]; .* require \[24, 5\]"),
        ({}, {"W_dec": None}, r"sae\.safetensors has no W_dec"),
        ({}, {"W_skip": torch.eye(D)}, r"contains 'W_skip'"),
    ],
)
def test_sparsify(tmp_path, settings, tensors, message):
    refused(sparsify(tmp_path / "sae", settings, tensors), message)


TOPK = {**LINEAR_TENSORS, "b_dec": BIAS}


@pytest.mark.parametrize(
    ("trainer", "tensors", "message"),
    [
        (
            {"dict_class": "CrossCoder"},
            None,
            r"config\.json: trainer\.dict_class is 'CrossCoder'; it must be one of AutoEnc",
        ),
        ({"dict_class": None}, None, r"config\.json: required key trainer\.dict_class is missing"),
        ({"dict_size": 24}, None, r"ae\.pt: encoder\.weight has shape \[12, 5\]"),
        ({"dict_class": "AutoEncoderTopK"}, TOPK, r"required key trainer\.k is missing"),
        ({"dict_class": "AutoEncoderTopK", "k": 13}, TOPK, r"trainer\.k is 13; .* in 1…12"),
        (
            {"dict_class": "AutoEncoderTopK", "k": K},
            {**TOPK, "k": torch.tensor(4)},
            r"trainer\.k is 3; it must be 4, as ae\.pt says",
        ),
        (
            {"dict_class": "AutoEncoderTopK", "k": K},
            {**TOPK, "k": torch.ones(2)},
            r"ae\.pt: k is torch\.float32\[2\]; it must be one whole number",
        ),
        ({"dict_class": "BatchTopKSAE", "k": K}, TOPK, r"ae\.pt has no threshold"),
        ({"dict_class": "AutoEncoderNew"}, None, r"ae\.pt contains 'bias'"),
    ],
)
def test_dictionary_learning(tmp_path, trainer, tensors, message):
    refused(dictionary_learning(tmp_path / "sae", trainer, tensors), message)


def test_a_factor_that_overflows_float32_is_refused(tmp_path):
    folder = saelens(tmp_path / "sae", {"normalize_activations": "expected_average_only_in"})
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 1e-60}')
    refused(folder, r"sae: decoder overflows float32 after folding in the scales")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("write", [saelens, sparsify])
def test_weights_that_are_not_finite_are_refused(tmp_path, write, bad):
    decoder = DECODER.clone()
    decoder[3, 2] = bad
    refused(write(tmp_path / "sae", {}, {"W_dec": decoder}), r"W_dec is not finite at \[3, 2\]")


def test_weights_too_large_for_float32_are_refused(tmp_path):
    refused(saelens(tmp_path / "sae", {}, {"b_dec": BIAS.double() * 1e300}), "b_dec is not finite")


def test_folders_without_an_sae_are_refused(tmp_path):
    refused(
        tmp_path, r"contains no SAE; need dictionary\.json \+ dictionary\.safetensors \(seedsta"
    )
    refused(tmp_path / "missing", r"missing is not a readable folder \(No such file")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", r"file is no file of an SAE; need dictionary\.json")
    saelens(tmp_path / "layer_1")
    sparsify(tmp_path / "layer_2")
    refused(tmp_path, r"contains no SAE; these subfolders do: layer_1, layer_2$")


def test_the_missing_file_of_an_sae_is_named(tmp_path):
    folder = saelens(tmp_path / "sae")
    (folder / "cfg.json").unlink()
    refused(folder, r"sae_weights\.safetensors \(saelens\) needs cfg\.json beside it")


def test_two_saes_in_one_folder_are_refused(tmp_path):
    folder = saelens(tmp_path / "sae")
    os.rename(sparsify(tmp_path / "other") / "sae.safetensors", folder / "sae.safetensors")
    refused(folder, r"contains SAEs of saelens and sparsify; give each SAE its own")
