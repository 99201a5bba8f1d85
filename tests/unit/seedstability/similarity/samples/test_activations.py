"""Streamed activations: moments and reconstruction metrics equal those of all samples at once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from helpers.comparison_data import activations, planted, schema_errors
from seedstability.dictionaries.metrics import quality
from seedstability.errors import UserError
from seedstability.report.compare import compare
from seedstability.similarity.chance_levels import covariance_of
from seedstability.similarity.samples import reconstruction
from seedstability.similarity.samples.activations import accumulate_moments, open_activations
from seedstability.similarity.samples.reconstruction import reconstruction_metrics
from seedstability.stability.subspaces.principal import principal_basis

torch.set_num_threads(1)


class Uneven:
    """A stream with parts of different sizes, like shards."""

    def __init__(self, x):
        self.x, self.shape = x, tuple(x.shape)

    def parts(self):
        return iter(self.x.split([1, 700, 2, len(self.x) - 703]))


def test_streamed_moments_equal_those_of_all_samples():
    x = activations(3000, 12) + 100.0
    x[:, 11] = 100.5
    found = accumulate_moments(open_activations(Uneven(x), 12))
    basis = principal_basis(x)
    np.testing.assert_allclose(found.moments.components.variances, basis.variances, atol=1e-9)
    assert found.moments.components.rank == basis.rank == 11
    np.testing.assert_allclose(found.moments.components.mean, basis.mean, rtol=1e-12)
    np.testing.assert_allclose(found.moments.covariance, covariance_of(x), atol=1e-6)
    about_mean = (x.double() - x.double().mean(0)).square().sum().item()
    assert found.total_sum_of_squares == pytest.approx(about_mean, rel=1e-9)


@pytest.mark.parametrize("codes_at_once", [1 << 25, 64])
def test_streamed_reconstruction_metrics_equal_those_of_all_samples(codes_at_once, monkeypatch):
    monkeypatch.setattr(reconstruction, "_CODES_AT_ONCE", codes_at_once)
    x, saes = activations(1500, 16), planted(2, n=24, d=16, shared=8)
    stream = open_activations(Uneven(x), 16)
    for found, each in zip(
        reconstruction_metrics(saes, stream, accumulate_moments(stream).total_sum_of_squares),
        saes,
        strict=True,
    ):
        expected = quality(each, x)
        assert found.explained_variance == pytest.approx(expected.explained_variance, abs=1e-6)
        assert found.l0 == expected.l0
        assert torch.equal(found.firing, expected.firing_rate)
        assert found.dead_fraction == expected.dead_fraction


def test_file_folder_and_tensor_give_the_same_activations(tmp_path):
    x = activations(900, 6)
    np.save(tmp_path / "x.npy", x.numpy())
    save_file({"x": x}, tmp_path / "x.safetensors")
    (tmp_path / "shards").mkdir()
    for number, part in enumerate(x.split(400)):
        np.save(tmp_path / "shards" / f"{number}.npy", part.numpy())
    for name in ("x.npy", "x.safetensors", "shards"):
        found = open_activations(str(tmp_path / name), 6)
        assert torch.equal(torch.cat(list(found.samples.parts())), x), name
    described = open_activations(str(tmp_path / "shards"), 6).report_entry()
    assert set(described["sha256"]) == {"0.npy", "1.npy", "2.npy"}
    assert described["samples"] == 900


def test_half_precision_is_read_too(tmp_path):
    x = activations(50, 6).bfloat16()
    save_file({"x": x}, tmp_path / "x.safetensors")
    assert torch.equal(
        next(open_activations(tmp_path / "x.safetensors", 6).samples.parts()), x.float()
    )


SOURCES = {
    "float64.npy": lambda x, file: np.save(file, x.double().numpy()),
    "float16.npy": lambda x, file: np.save(file, x.half().numpy()),
    "big.npy": lambda x, file: np.save(file, x.numpy().astype(">f4")),
    "contexts.npy": lambda x, file: np.save(file, x.reshape(20, 30, 6).numpy()),
    "double.safetensors": lambda x, file: save_file({"x": x.double()}, file),
    "tensor.pt": lambda x, file: torch.save(x, file),
    "one.pt": lambda x, file: torch.save({"x": x.bfloat16(), "layer": 3}, file),
    "contexts.pt": lambda x, file: torch.save(x.half().reshape(20, 30, 6), file),
}


@pytest.mark.parametrize("name", SOURCES)
def test_any_floating_type_and_number_of_axes_is_read_and_said(name, tmp_path):
    x = (8 * activations(600, 6)).round() / 8  # exact in every type
    SOURCES[name](x, tmp_path / name)
    found = open_activations(tmp_path / name, 6)
    assert torch.equal(torch.cat(list(found.samples.parts())), x)
    assert found.samples.shape == (600, 6)
    report = compare(planted(2, 12, 6, 3), tmp_path / name)
    assert schema_errors(report.document) == []
    said = [note for note in report.document["notes"] if "converted to float32" in note]
    assert len(said) == (name != "tensor.pt")
    assert all(found.kinds[0] in note for note in said)


def test_a_folder_may_mix_types_and_formats(tmp_path):
    x = (8 * activations(600, 6)).round() / 8
    np.save(tmp_path / "0.npy", x[:200].half().numpy())
    torch.save(x[200:300], tmp_path / "1.pt")
    save_file({"x": x[300:].reshape(10, 30, 6).double()}, tmp_path / "2.safetensors")
    found = open_activations(tmp_path, 6)
    assert torch.equal(torch.cat(list(found.samples.parts())), x)
    assert found.kinds == ["float16 of 2 axes", "float32 of 2 axes", "float64 of 3 axes"]
    np.save(tmp_path / "3.npy", np.zeros((4, 7)))
    with pytest.raises(UserError, match=r"3\.npy has width 7, 0\.npy has 6"):
        open_activations(tmp_path, 6)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_one_tensor_of_several_is_chosen_by_its_name(suffix, tmp_path):
    x, file = activations(30, 6), tmp_path / f"x.{suffix}"
    (torch.save if suffix == "pt" else save_file)({"tokens": torch.arange(30), "x": x}, file)
    found = open_activations(file, 6, "x")
    assert torch.equal(next(found.samples.parts()), x)
    with pytest.raises(UserError, match=r"2 tensors \(tokens, x\); choose one with --key"):
        open_activations(file, 6)
    with pytest.raises(UserError, match="none is called y"):
        open_activations(file, 6, "y")
    with pytest.raises(UserError, match=r"int64\[30\]"):
        open_activations(file, 6, "tokens")


def test_arrays_in_memory_may_be_of_numpy():
    x = activations(30, 6)
    for given in (x.numpy(), x.double().numpy(), x.reshape(5, 6, 6).numpy()):
        assert torch.equal(next(open_activations(given, 6).samples.parts()), x)


def broken(kind: str, folder):
    x = activations(20, 6).numpy()
    file = folder / "x.npy"
    if kind == "not finite":
        x[13, 2] = np.nan
    if kind == "one sample":
        x = x[:1]
    if kind == "huge":
        x *= 1e25
    if kind == "tiny":
        x *= 1e-30
    if kind == "the same":
        x[:] = x[0]
    if kind == "empty":
        x = x[:0]
    np.save(file, x.astype(np.int32) if kind == "integers" else x[0] if kind == "a vector" else x)
    if kind == "truncated":
        file.write_bytes(file.read_bytes()[:200])
    if kind == "pickled":
        np.save(file, np.array([{"a": 1}]), allow_pickle=True)
    if kind == "no such file":
        file.unlink()
    if kind == "two tensors":
        file = folder / "x.safetensors"
        save_file({"a": torch.zeros(3, 6), "b": torch.zeros(3, 6)}, file)
    if kind == "no safetensors":
        file = folder / "x.safetensors"
        file.write_bytes(b"\xff" * 100)
    if kind == "no pytorch file":
        file = folder / "x.pt"
        file.write_bytes(b"\xff" * 100)
    if kind == "a pickle":
        file = folder / "x.pt"
        torch.save({"a": Path(".")}, file)
    if kind == "a text":
        file = folder / "x.csv"
        file.write_text("1,2")
    if kind == "an empty folder":
        file = folder / "none"
        file.mkdir()
    return file


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("not finite", "sample 13 of"),
        ("one sample", "at least 2"),
        ("the same", "the same sample 20 times"),
        ("huge", r"values of about .e\+2.; scale them to between 1e-15 and 1e\+15"),
        ("tiny", "values of about .e-3.; scale them"),
        ("empty", "samples ≥ 2"),
        ("integers", "int32"),
        ("a vector", r"\[6\]"),
        ("truncated", "x.npy"),
        ("pickled", "x.npy"),
        ("no such file", "not a file or folder"),
        ("two tensors", "2 tensors"),
        ("no safetensors", "not a safetensors file"),
        ("a text", "need .npy"),
        ("no pytorch file", "not a PyTorch file of tensors alone"),
        ("a pickle", "not a PyTorch file of tensors alone"),
        ("an empty folder", "no \\*.npy"),
    ],
)
def test_invalid_activations_are_refused_in_one_line_with_their_name(kind, said, tmp_path):
    file = broken(kind, tmp_path)
    with pytest.raises(UserError, match=said) as caught:
        accumulate_moments(open_activations(str(file), 6))
    assert str(file.name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [[[1.0, 2.0]], 3, {}])
def test_what_is_no_activations_is_refused_by_its_type(given):
    with pytest.raises(UserError, match=f"of type {type(given).__name__}; need a path"):
        open_activations(given, 6)


def test_fewer_samples_than_dimensions_give_the_levels_of_their_span():
    report = compare(planted(2, 24, 16, 6), activations(900, 16)[:8])
    chance = report.document["measures"]["full"]["max_cosine"]["chance"]
    assert chance["data"] > chance["isotropic"]
    assert any("8 activations span 7 of 16" in note for note in report.document["notes"])


def test_activations_of_different_width_are_refused():
    with pytest.raises(UserError, match="width 6; the dictionaries have width 8"):
        open_activations(activations(20, 6), 8)
