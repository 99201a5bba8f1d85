"""Decoders compared alone: of checkpoints of any class, of files, and in memory."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from helpers.comparison_data import activations, planted, schema_errors
from helpers.dictionaries_checkpoints import DECODER, dictionary_learning, draw, saelens, sparsify
from seedstability.dictionaries.formats.decoder import load_decoder
from seedstability.dictionaries.formats.folder import save
from seedstability.errors import UserError
from seedstability.report.compare import compare
from seedstability.report.page.rendering import render


def test_figures_of_decoders_are_those_of_the_whole_comparison():
    saes, x = planted(3, n=24, d=8, shared=8), activations(400, 8)
    whole = compare(saes, x)
    alone = compare([each.decoder for each in saes], x, decoders_only=True)
    assert schema_errors(alone.document) == []
    for name, found in alone.document["measures"]["full"].items():
        assert not name.startswith("encoder")
        assert found["value"] == whole.document["measures"]["full"][name]["value"]
        assert found["chance"]["data"] is not None
    assert set(whole.document["measures"]["full"]) > set(alone.document["measures"]["full"])
    assert not {"firing", "encoder_partner"} & set(alone.arrays)
    np.testing.assert_array_equal(alone.arrays["partner"], whole.arrays["partner"])
    assert alone.document["firing"] is None
    assert any("decoders alone" in note for note in alone.document["notes"])
    assert "3 dictionaries of 24 latents" in render(alone.document, alone.arrays)


def test_checkpoints_of_other_classes_give_their_decoder(tmp_path):
    other = {"W_skip": draw(5, 5)}
    for folder in (
        saelens(tmp_path / "transcoder", {"architecture": "transcoder"}, other),
        saelens(tmp_path / "abstopk", {"architecture": "abstopk", "k": 3}),
        sparsify(tmp_path / "skip", {"skip_connection": True}, other),
        dictionary_learning(tmp_path / "unknown", {"dict_class": "CrossCoder"}),
    ):
        assert torch.equal(load_decoder(folder), DECODER)
    compared = compare(
        [
            tmp_path / "transcoder",
            sparsify(tmp_path / "own", tensors={"W_dec": -DECODER}),
            DECODER.sqrt().nan_to_num(),
        ],
        decoders_only=True,
        allow_different=True,
    )
    listed = compared.document["inputs"]["dictionaries"]
    assert [each["format"] for each in listed] == ["saelens", "sparsify", "memory"]
    assert [each["architecture"] for each in listed] == [None] * 3
    with pytest.raises(UserError, match="architecture is 'transcoder'"):
        compare([tmp_path / "transcoder", tmp_path / "skip"])


def test_settings_that_differ_are_noticed_in_decoders_too(tmp_path):
    saelens(tmp_path / "a", {"architecture": "abstopk", "k": 3})
    saelens(tmp_path / "b", {"architecture": "abstopk", "k": 4}, {"W_dec": draw(12, 5)})
    with pytest.raises(UserError, match=r"differ in more than the seed: k \(3, 4\)"):
        compare([tmp_path / "a", tmp_path / "b"], decoders_only=True)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.npy", lambda path, D: np.save(path, D.numpy())),
        ("a.npy", lambda path, D: np.save(path, D.double().numpy().astype(">f8"))),
        ("a.npy", lambda path, D: np.save(path, np.asfortranarray(D.numpy()))),
        ("a.npz", lambda path, D: np.savez(path, components=D.numpy())),
        ("a.safetensors", lambda path, D: save_file({"atoms": D}, path)),
        ("a.safetensors", lambda path, D: save_file({"W_dec": D, "W_enc": D + 1}, path)),
        ("a.safetensors", lambda path, D: save_file({"w_dec": D, "b": D[0].clone()}, path)),
        ("a.pt", lambda path, D: torch.save(D, path)),
        ("a.pt", lambda path, D: torch.save({"_orig_mod.decoder.weight": D.t(), "b": D}, path)),
    ],
)
def test_one_matrix_of_a_file_is_a_decoder(tmp_path, name, write):
    write(tmp_path / name, DECODER)
    assert torch.equal(load_decoder(tmp_path / name), DECODER)
    compare([tmp_path / name, draw(12, 5)], decoders_only=True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            draw(12, 5, 2),
            r"a\.pt: the tensor is float32\[12, 5, 2\]; a decoder is float32\[latents",
        ),
        (torch.ones(3, 4).long(), r"the tensor is int64\[3, 4\]"),
        (draw(12, 5) * torch.nan, r"the tensor is not finite at \[0, 0\]"),
        (
            {"x": draw(3, 4), "y": draw(3, 4)},
            r"holds 2 tensors \(x, y\); a decoder is the only one",
        ),
        ({}, r"holds 0 tensors; a decoder"),
    ],
)
def test_what_is_no_decoder_is_refused(tmp_path, values, said):
    torch.save(values, tmp_path / "a.pt")
    with pytest.raises(UserError, match=said):
        load_decoder(tmp_path / "a.pt")


def test_other_things_than_dictionaries_are_refused(tmp_path):
    (tmp_path / "x.txt").touch()
    for given, said in (
        (tmp_path / "x.txt", r"x\.txt is no file of a decoder; need \.npy"),
        (tmp_path / "none", "is not a file or folder with a decoder"),
        (tmp_path, "contains no file of weights"),
    ):
        with pytest.raises(UserError, match=said):
            compare([given, DECODER], decoders_only=True)
    with pytest.raises(UserError, match=r"SAE 1 is float32\[5\]; a decoder is a matrix \[n, d"):
        compare([DECODER, DECODER[0]], decoders_only=True)
    with pytest.raises(UserError, match="dictionary 0 is of type Tensor; give a folder"):
        compare([DECODER, DECODER + 1])


def with_sparsity(folder, rates):
    path = folder / "sparsity.safetensors"
    save_file({"sparsity": torch.log10(torch.tensor(rates) + 1e-10)}, path)
    return folder


def test_live_latents_are_those_that_saelens_has_counted(tmp_path):
    rates = [0.0, 3e-7, 0.5, *[0.1] * 9]
    folders = [
        with_sparsity(
            saelens(tmp_path / f"s{seed}", tensors={"W_dec": draw(12, 5, seed=seed)}), rates
        )
        for seed in range(2)
    ]
    report = compare(folders)
    assert [each["live"] for each in report.document["dictionaries"]] == [11, 11]
    np.testing.assert_allclose(report.arrays["firing"], [rates] * 2, rtol=1e-4, atol=1e-12)
    assert "live" in report.document["measures"]
    assert any("as sparsity.safetensors states" in line for line in report.summary)
    assert schema_errors(report.document) == []
    # Activations measure it, and where one does not state it, none is known.
    measured = compare(folders, activations(64, 5)).arrays["firing"]
    assert not np.allclose(measured, [rates] * 2)
    (folders[1] / "sparsity.safetensors").unlink()
    assert "firing" not in compare(folders).arrays


def test_the_norm_of_the_activations_stands_for_a_factor_that_is_not_stated(tmp_path):
    x = activations(64, 5)
    settings = {"normalize_activations": "expected_average_only_in"}
    folders = [
        saelens(tmp_path / f"s{seed}", settings, {"W_dec": draw(12, 5, seed=seed)})
        for seed in range(2)
    ]
    with pytest.raises(UserError, match="or activations, whose mean norm gives it"):
        compare(folders)
    report = compare(folders, x)
    norm = x.norm(dim=1).mean().item()
    for each in report.document["inputs"]["dictionaries"]:
        assert each["mean_norm"] == pytest.approx(norm)
    assert any(f"it is √d over {norm:.4g}" in note for note in report.document["notes"])
    stated = json.dumps({"scaling_factor": 5**0.5 / norm})
    for folder in folders:
        (folder / "activation_scaler.json").write_text(stated)
    same = compare(folders, x).document["dictionaries"]
    for one, other in zip(same, report.document["dictionaries"], strict=True):
        assert one["explained_variance"] == pytest.approx(other["explained_variance"], rel=1e-4)


def test_saes_that_normalize_samples_are_measured_with_what_they_do(tmp_path):
    x = activations(200, 5) * 3 + 1
    saes = []
    for seed in range(2):
        settings = {"normalize_activations": "layer_norm"}
        saes.append(saelens(tmp_path / f"s{seed}", settings, {"b_enc": draw(12, seed=seed)}))
    found = compare(saes, x).document["dictionaries"]
    from seedstability import load  # the function that people call

    for folder, each in zip(saes, found, strict=True):
        made = load(folder).reconstruct(x)
        explained = 1 - (x - made).square().sum() / (x - x.mean(0)).square().sum()
        assert each["explained_variance"] == pytest.approx(explained.item(), rel=1e-4)


def test_downloads_of_gemma_scope_that_differ_in_sparsity_are_no_seeds(tmp_path):
    for l0 in (20, 71):
        folder = tmp_path / "layer_3" / "width_1k" / f"average_l0_{l0}"
        folder.mkdir(parents=True)
        tensors = {
            "W_enc": draw(5, 12, seed=l0),
            "W_dec": draw(12, 5, seed=l0),
            "b_enc": draw(12),
            "b_dec": draw(5),
            "threshold": draw(12),
        }
        np.savez(folder / "params.npz", **{name: each.numpy() for name, each in tensors.items()})
    folders = sorted(tmp_path.glob("*/*/*"))
    with pytest.raises(UserError, match=r"differ in more than the seed: average_l0 \(.20., .71.\)"):
        compare(folders)
    save(planted(1, 12, 5, 2)[0], tmp_path / "ours")
    assert compare(folders, allow_different=True).document["inputs"]["differences"]
