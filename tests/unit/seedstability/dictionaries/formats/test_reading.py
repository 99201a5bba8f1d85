"""Checkpoints of each library reconstruct as the library does, computed here by hand."""

import json
import math

import pytest
import torch

from helpers.dictionaries_checkpoints import (
    BIAS,
    DECODER,
    ENCODER,
    ENCODER_BIAS,
    LINEAR_TENSORS,
    SAELENS_TENSORS,
    THRESHOLD,
    D,
    K,
    N,
    X,
    dictionary_learning,
    saelens,
    sparsify,
)
from seedstability.dictionaries.formats.folder import load

PLAIN_TENSORS = {**SAELENS_TENSORS, "W_enc": ENCODER.t().contiguous()}
LENGTHS = DECODER.norm(dim=1)
PRE = (X - BIAS) @ ENCODER.t() + ENCODER_BIAS
RAW = X @ ENCODER.t() + ENCODER_BIAS


def decoded(latents):
    return latents @ DECODER + BIAS


def largest(pre, k=K):
    values, which = pre.relu().topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, which, values)


def assert_computes(folder, expected):
    torch.testing.assert_close(load(folder).reconstruct(X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "tensors", "latents"),
    [
        ({}, {}, PRE.relu()),
        ({"apply_b_dec_to_input": None}, {}, PRE.relu()),
        ({"apply_b_dec_to_input": False}, {}, RAW.relu()),
        ({"architecture": None, "activation_fn": "relu"}, {}, PRE.relu()),
        ({"normalize_activations": False}, {}, PRE.relu()),
        ({"reshape_activations": "hook_z"}, {}, PRE.relu()),
        ({}, {"scaling_factor": torch.ones(N)}, PRE.relu()),
        ({"architecture": "topk", "k": K}, {}, largest(PRE)),
        (
            {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}},
            {},
            largest(PRE),
        ),
        (
            {"architecture": "topk", "k": K, "rescale_acts_by_decoder_norm": True},
            {},
            largest(PRE * LENGTHS) / LENGTHS,
        ),
        (
            {"architecture": "jumprelu"},
            {"threshold": THRESHOLD},
            PRE.relu() * (PRE > THRESHOLD),
        ),
        (
            {"architecture": "jumprelu"},
            {"log_threshold": THRESHOLD},
            PRE * (PRE - THRESHOLD.exp() > 0),
        ),
        (
            {"architecture": "batchtopk", "k": 2.5, "rescale_acts_by_decoder_norm": True},
            {"topk_threshold": torch.tensor(0.7, dtype=torch.float64)},
            PRE * (PRE * LENGTHS > 0.7),
        ),
        (
            {"architecture": "batchtopk", "k": 2},
            {"topk_threshold": torch.tensor(0.7, dtype=torch.float64)},
            PRE * (PRE * LENGTHS > 0.7),
        ),
        (
            {"architecture": "matryoshka_batchtopk", "k": 2, "rescale_acts_by_decoder_norm": False},
            {"topk_threshold": torch.tensor(0.7, dtype=torch.float64)},
            PRE * (PRE > 0.7),
        ),
    ],
)
def test_saelens(tmp_path, settings, tensors, latents):
    assert_computes(saelens(tmp_path / "sae", settings, tensors), decoded(latents))


@pytest.mark.parametrize(
    ("rescaled", "kept"), [(True, lambda pre: pre * LENGTHS), (False, lambda pre: pre)]
)
def test_saelens_training_checkpoints_are_folded_to_unscaled_activations(tmp_path, rescaled, kept):
    """Trained on activations times 0.37, with one threshold."""
    settings = {
        "architecture": "batchtopk",
        "k": K,
        "rescale_acts_by_decoder_norm": rescaled,
        "normalize_activations": "expected_average_only_in",
    }
    folder = saelens(tmp_path / "sae", settings, {"topk_threshold": torch.tensor(0.2)})
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 0.37}')
    pre = (0.37 * X - BIAS) @ ENCODER.t() + ENCODER_BIAS
    assert_computes(folder, decoded(pre * (kept(pre) > 0.2)) / 0.37)


def test_saelens_metadata_gives_the_architecture_of_training(tmp_path):
    trained = {"training_architecture": "batchtopk", "training_architecture_details": {"k": 3.2}}
    for name, metadata, expected in (
        ("message", trained, ("batch_topk", 3)),
        ("unsaid", {"training_architecture": "batchtopk"}, ("jumprelu", 32)),
        ("other", {**trained, "training_architecture": "jumprelu"}, ("jumprelu", 32)),
    ):
        settings = {"architecture": "jumprelu", "metadata": metadata}
        config = load(saelens(tmp_path / name, settings, {"threshold": THRESHOLD})).config
        assert (config.architecture, config.k) == expected


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_latents": 0, "expansion_factor": 2}, {"activation": None, "multi_topk": True}],
)
def test_sparsify(tmp_path, settings):
    if "expansion_factor" in settings:
        tensors = {"encoder.weight": ENCODER[:10], "encoder.bias": ENCODER_BIAS[:10]}
        folder = sparsify(tmp_path / "sae", settings, {**tensors, "W_dec": DECODER[:10]})
        assert_computes(folder, largest(PRE[:, :10]) @ DECODER[:10] + BIAS)
    else:
        assert_computes(sparsify(tmp_path / "sae", settings), decoded(largest(PRE)))


@pytest.mark.parametrize(
    ("trainer", "tensors", "latents"),
    [
        ({}, {**LINEAR_TENSORS, "bias": BIAS}, PRE.relu()),
        (
            {"dict_class": "AutoEncoderNew"},
            {**LINEAR_TENSORS, "decoder.bias": BIAS},
            RAW.relu(),
        ),
        (
            {"dict_class": "AutoEncoderTopK", "k": K},
            {**LINEAR_TENSORS, "b_dec": BIAS, "k": torch.tensor(K), "threshold": torch.tensor(9.0)},
            largest(PRE),
        ),
        (
            {"dict_class": "AutoEncoderTopK", "k": K},
            {**LINEAR_TENSORS, "b_dec": BIAS},
            largest(PRE),
        ),
        (
            {"dict_class": "BatchTopKSAE", "k": K},
            {**LINEAR_TENSORS, "b_dec": BIAS, "k": torch.tensor(K), "threshold": torch.tensor(0.6)},
            PRE * (PRE > 0.6),
        ),
        (
            {"dict_class": "BatchTopKSAE", "k": K},
            {**LINEAR_TENSORS, "b_dec": BIAS, "threshold": torch.tensor(-1.0)},
            PRE.relu(),
        ),
        (
            {"dict_class": "MatryoshkaBatchTopKSAE", "k": K},
            {
                **PLAIN_TENSORS,
                "k": torch.tensor(K),
                "threshold": torch.tensor(0.6),
                "group_sizes": torch.tensor([4, 8]),
            },
            PRE * (PRE > 0.6),
        ),
        (
            {"dict_class": "JumpReluAutoEncoder"},
            {**PLAIN_TENSORS, "threshold": THRESHOLD},
            RAW.relu() * (RAW > THRESHOLD),
        ),
    ],
)
def test_dictionary_learning(tmp_path, trainer, tensors, latents):
    assert_computes(dictionary_learning(tmp_path / "sae", trainer, tensors), decoded(latents))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_float_types_become_float32(tmp_path, kind):
    stored = {name: tensor.to(kind) for name, tensor in SAELENS_TENSORS.items()}
    sae = load(saelens(tmp_path / "sae", tensors=stored))
    assert sae.decoder.dtype == torch.float32
    assert torch.equal(sae.decoder, DECODER.to(kind).float())


def test_a_zero_decoder_row_stays_zero(tmp_path):
    decoder = DECODER.clone()
    decoder[4] = 0
    settings = {"architecture": "topk", "k": N, "rescale_acts_by_decoder_norm": True}
    sae = load(saelens(tmp_path / "sae", settings, {"W_dec": decoder}))
    assert not sae.decoder[4].any()
    assert sae.reconstruct(X).isfinite().all()


def test_a_loaded_sae_does_not_depend_on_its_files(tmp_path):
    for name, folder in (
        ("sae_weights.safetensors", saelens(tmp_path / "a")),
        ("ae.pt", dictionary_learning(tmp_path / "b")),
    ):
        sae = load(folder)
        size = (folder / name).stat().st_size
        (folder / name).write_bytes(b"\xff" * size)
        assert torch.equal(sae.decoder, DECODER)


def test_settings_of_training_are_defaults(tmp_path):
    config = load(saelens(tmp_path / "sae")).config
    assert (config.n_latents, config.epochs) == (N, type(config)().epochs)


def test_unused_settings_are_ignored(tmp_path):
    settings = {"dtype": "bfloat16", "device": "cuda:3", "hook_layer": None, "l0": math.pi}
    folder = saelens(tmp_path / "sae", settings)
    assert json.loads((folder / "cfg.json").read_text())["device"] == "cuda:3"
    assert load(folder).decoder.shape == (N, D)
