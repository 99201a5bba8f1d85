"""Checkpoints of each library reconstruct as the library does, computed here by hand."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

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
    draw,
    saelens,
    sparsify,
)
from seedstability.dictionaries.formats.folder import load, recognize, save
from seedstability.errors import UserError

PLAIN_TENSORS = {**SAELENS_TENSORS, "W_enc": ENCODER.t().contiguous()}
LENGTHS = DECODER.norm(dim=1)
PRE = (X - BIAS) @ ENCODER.t() + ENCODER_BIAS
RAW = X @ ENCODER.t() + ENCODER_BIAS

GATE, LOG_MAGNITUDE = draw(N, seed=6), draw(N, seed=7) / 2
PROJECTED = (X - BIAS) @ ENCODER.t()
GATED = (PROJECTED * LOG_MAGNITUDE.exp() + ENCODER_BIAS).relu() * (PROJECTED + GATE > 0)
NO_BIAS = {"b_enc": None}


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
        (
            {"architecture": "gated"},
            {**NO_BIAS, "b_gate": GATE, "r_mag": LOG_MAGNITUDE, "b_mag": ENCODER_BIAS},
            GATED,
        ),
        ({"activation_fn_str": "tanh-relu"}, {}, PRE.relu().tanh()),
        ({"activation_fn": "tanh-relu", "normalize_activations": None}, {}, PRE.relu().tanh()),
        (
            {"architecture": "jumprelu", "activation_fn": "tanh-relu"},
            {"threshold": THRESHOLD},
            PRE.relu().tanh() * (PRE > THRESHOLD),
        ),
        (
            {"finetuning_scaling_factor": True},
            {"finetuning_scaling_factor": THRESHOLD},
            PRE.relu() * THRESHOLD,
        ),
        (
            {"finetuning_scaling_factor": True},
            {"scaling_factor": THRESHOLD},
            PRE.relu() * THRESHOLD,
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


def layer_norm(x):
    spread = (x - x.mean(1, keepdim=True)).std(1, keepdim=True)
    return (x - x.mean(1, keepdim=True)) / (spread + 1e-5), spread, x.mean(1, keepdim=True)


@pytest.mark.parametrize(
    ("settings", "tensors", "activate"),
    [
        ({}, {}, torch.relu),
        ({"architecture": "topk", "k": K}, {}, largest),
        (
            {"architecture": "jumprelu"},
            {"threshold": THRESHOLD},
            lambda pre: pre.relu() * (pre > THRESHOLD),
        ),
    ],
)
def test_saelens_normalizes_each_sample_and_undoes_it(tmp_path, settings, tensors, activate):
    def passed(x):
        return decoded(activate((x - BIAS) @ ENCODER.t() + ENCODER_BIAS))

    named = {"normalize_activations": "layer_norm"}
    normalized, spread, mean = layer_norm(X)
    folder = saelens(tmp_path / "a", settings | named, tensors)
    assert_computes(folder, passed(normalized) * spread + mean)
    named = {"normalize_activations": "constant_norm_rescale"}
    factor = D**0.5 / X.norm(dim=1, keepdim=True)
    folder = saelens(tmp_path / "b", settings | named, tensors)
    assert_computes(folder, passed(X * factor) / factor)
    with_zeros = torch.cat([X, torch.zeros(1, D)])
    assert load(folder).reconstruct(with_zeros).isfinite().all()


def test_saelens_without_the_factor_takes_the_norm_of_the_activations(tmp_path):
    folder = saelens(tmp_path / "sae", {"normalize_activations": "expected_average_only_in"})
    asked = []
    sae = load(folder, lambda d: asked.append(d) or 3.0)
    factor = D**0.5 / 3.0
    pre = (factor * X - BIAS) @ ENCODER.t() + ENCODER_BIAS
    torch.testing.assert_close(sae.reconstruct(X), decoded(pre.relu()) / factor)
    assert torch.equal(load(folder, 3).decoder, sae.decoder)
    load(saelens(tmp_path / "other"), lambda d: asked.append(d) or 3.0)
    assert asked == [D]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("stored", [torch.float32, None])
def test_saelens_computes_in_the_half_precision_of_its_settings(tmp_path, kind, stored):
    name = str(kind)
    parts = {name: part.to(kind) for name, part in SAELENS_TENSORS.items()}
    threshold, x = THRESHOLD.to(kind), X.to(kind)
    encoder = parts["W_enc"].contiguous()
    pre = (x - parts["b_dec"]) @ encoder + parts["b_enc"]
    for settings, latents in (
        ({}, pre.relu()),
        ({"architecture": "topk", "k": K}, largest(pre)),
        ({"architecture": "jumprelu"}, pre.relu() * (pre > threshold)),
    ):
        named = {**settings, "dtype": name if stored else name.removeprefix("torch.")}
        more = (
            {"threshold": threshold} if "architecture" in settings and "k" not in settings else {}
        )
        folder = tmp_path / settings.get("architecture", "standard")
        saved = {key: part.to(stored or kind) for key, part in {**parts, **more}.items()}
        sae = load(saelens(folder, named, saved))
        expected = (latents @ parts["W_dec"] + parts["b_dec"]).float()
        torch.testing.assert_close(sae.reconstruct(X), expected, rtol=0, atol=0)
        assert torch.equal(sae.encode(X), latents.float())
        assert sae.decoder.dtype == torch.float32


def test_an_sae_that_computes_otherwise_is_not_saved_as_if_it_did_not(tmp_path):
    sae = load(saelens(tmp_path / "sae", {"normalize_activations": "layer_norm"}))
    with pytest.raises(UserError, match="as SAELens does; it can be measured, not saved"):
        save(sae, tmp_path / "saved")


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
        (
            {"dict_class": "GatedAutoEncoder"},
            {
                "encoder.weight": ENCODER,
                "decoder.weight": DECODER.t(),
                "decoder_bias": BIAS,
                "gate_bias": GATE,
                "r_mag": LOG_MAGNITUDE,
                "mag_bias": ENCODER_BIAS,
            },
            GATED,
        ),
    ],
)
def test_dictionary_learning(tmp_path, trainer, tensors, latents):
    assert_computes(dictionary_learning(tmp_path / "sae", trainer, tensors), decoded(latents))


BATCH_TOPK = {**LINEAR_TENSORS, "b_dec": BIAS, "threshold": torch.tensor(0.6)}
TRAINED = {"dict_class": "BatchTopKSAE", "k": K}


def test_dictionary_learning_compiled_or_with_counters(tmp_path):
    counters = {"k": torch.tensor(K), "steps": torch.tensor(7), "since": torch.zeros(N).long()}
    tensors = {f"_orig_mod.{name}": each for name, each in {**BATCH_TOPK, **counters}.items()}
    folder = dictionary_learning(tmp_path / "sae", TRAINED, tensors)
    assert_computes(folder, decoded(PRE * (PRE > 0.6)))
    more = {**BATCH_TOPK, "shift": torch.zeros(N)}
    with pytest.raises(UserError, match="contains 'shift'"):
        load(dictionary_learning(tmp_path / "other", TRAINED, more))


@pytest.mark.parametrize("factor", [2.5, torch.tensor(2.5), None])
def test_the_backup_of_a_run_that_did_not_end_is_scaled_as_its_end_would_be(tmp_path, factor):
    backup = {
        "step": 3,
        "ae": BATCH_TOPK,
        "optimizer": {"state": {0: {"exp_avg": ENCODER}}, "param_groups": [{"lr": 0.1}]},
        "config": {"lr": 0.1},
        "norm_factor": factor,
    }
    scale = 1.0 if factor is None else 2.5
    pre = (X / scale - BIAS) @ ENCODER.t() + ENCODER_BIAS
    folder = dictionary_learning(tmp_path / "sae", TRAINED, backup)
    assert_computes(folder, scale * decoded(pre * (pre > 0.6)))
    with pytest.raises(UserError, match="norm_factor is -1; it must be above 0"):
        load(dictionary_learning(tmp_path / "other", TRAINED, {**backup, "norm_factor": -1}))


def test_checkpoints_over_time_take_the_settings_of_their_run(tmp_path):
    folder = dictionary_learning(tmp_path / "run") / "checkpoints"
    folder.mkdir()
    torch.save({**LINEAR_TENSORS, "bias": 2 * BIAS}, folder / "ae_100.pt")
    for path in (folder / "ae_100.pt", folder):
        assert torch.equal(load(path).decoder_bias, 2 * BIAS)
        assert recognize(path).files == (tmp_path / "run" / "config.json", folder / "ae_100.pt")
    torch.save({**LINEAR_TENSORS, "bias": BIAS}, folder / "ae_20.pt")
    with pytest.raises(UserError, match=r"give one of its files, such as ae_100\.pt"):
        load(folder)
    assert torch.equal(load(tmp_path / "run" / "ae.pt").decoder_bias, BIAS)
    (tmp_path / "ae_7.pt").touch()
    with pytest.raises(UserError, match=r"ae_7\.pt needs config\.json beside it or one folder up"):
        load(tmp_path / "ae_7.pt")


GEMMA = {**PLAIN_TENSORS, "W_enc": ENCODER.t().contiguous(), "threshold": THRESHOLD}
RAW_JUMP = decoded(RAW.relu() * (RAW > THRESHOLD))


def gemma_scope(folder, tensors):
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", **{name: each.numpy() for name, each in tensors.items()})
    return folder


def test_gemma_scope(tmp_path):
    folder = gemma_scope(tmp_path / "layer_3" / "width_16k" / "average_l0_71", GEMMA)
    assert_computes(folder, RAW_JUMP)
    assert_computes(folder / "params.npz", RAW_JUMP)
    found = recognize(folder)
    assert found.stated_by_path() == {"layer": "3", "width": "16k", "average_l0": "71"}
    on_embeddings = gemma_scope(tmp_path / "embedding" / "width_4k" / "average_l0_6", GEMMA)
    pre = RAW - ENCODER_BIAS
    pre = pre / D**0.5 + ENCODER_BIAS
    latents = pre.relu() * (pre > THRESHOLD)
    assert_computes(on_embeddings, latents @ DECODER * D**0.5 + BIAS)
    assert recognize(on_embeddings).stated_by_path()["layer"] == "embedding"


def test_gemma_scope_2(tmp_path):
    folder = tmp_path / "layer_12_width_16k_l0_small"
    folder.mkdir()
    tensors = {name.replace("W", "w"): each for name, each in GEMMA.items()}
    path = folder / "params.safetensors"
    save_file({**tensors, "affine_skip_connection": torch.zeros(D, D)}, path)
    assert_computes(folder, RAW_JUMP)
    stated = {"layer": "12", "width": "16k", "l0": "small"}
    assert recognize(folder).stated_by_path() == stated
    settings = {"architecture": "jump_relu", "hf_hook_point_in": "model.layers.12.output"}
    (folder / "config.json").write_text(json.dumps(settings))
    assert_computes(folder, RAW_JUMP)
    (folder / "config.json").write_text(json.dumps({**settings, "hf_hook_point_out": "other"}))
    with pytest.raises(UserError, match="hf_hook_point_out is 'other'"):
        load(folder)
    (folder / "config.json").unlink()
    save_file({**tensors, "affine_skip_connection": torch.eye(D)}, path)
    with pytest.raises(UserError, match="affine_skip_connection is not zero"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_dec": DECODER[0]}, r"params\.npz: W_dec has shape \[5\]; it must be a matrix"),
        ({"W_enc": ENCODER}, r"W_enc has shape \[12, 5\]"),
        ({"W_skip": BIAS}, r"contains 'W_skip'"),
        ({"W_dec": DECODER * torch.nan}, r"W_dec is not finite"),
    ],
)
def test_damaged_arrays_are_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        load(gemma_scope(tmp_path / "sae", {**GEMMA, **change}))


def test_arrays_that_would_run_code_are_refused(tmp_path):
    np.savez(tmp_path / "params.npz", W_dec=np.array([print], dtype=object))
    with pytest.raises(UserError, match="is not a readable file of arrays"):
        load(tmp_path)
    (tmp_path / "params.npz").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(UserError, match="is not a readable file of arrays"):
        load(tmp_path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "params.npz")
    with pytest.raises(UserError, match="it must hold several by name"):
        load(tmp_path)


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
    settings = {"dtype": "float64", "device": "cuda:3", "hook_layer": None, "l0": math.pi}
    folder = saelens(tmp_path / "sae", settings)
    assert json.loads((folder / "cfg.json").read_text())["device"] == "cuda:3"
    assert load(folder).decoder.shape == (N, D)
