"""Damaged and malicious files: a one-line error, no code run, bounded memory."""

import json
import os
import resource
import struct
import zipfile

import pytest
import torch

from helpers.dictionaries_checkpoints import (
    BIAS,
    LINEAR_TENSORS,
    dictionary_learning,
    saelens,
    sparsify,
)
from seedstability.dictionaries.formats.folder import load
from seedstability.errors import UserError

AUTOENCODER = {**LINEAR_TENSORS, "bias": BIAS}


def refused(folder, message):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    # in kB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (saelens, "sae_weights.safetensors"),
        (dictionary_learning, "ae.pt"),
    ],
)
def test_pointers_of_git_lfs_say_how_to_fetch_the_weights(tmp_path, write, name):
    folder = write(tmp_path / "sae")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (folder / name).write_text(pointer)
    refused(folder, f"{name} is a pointer of Git LFS .* `git lfs pull`")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON: Expecting value"),
        (b"{'d_in': 5}", "is not JSON"),
        (b"\xff\xfe\x00\xd8", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"d_in": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", r"contains \[\]; it must contain an object of settings"),
        (b"null", "contains None; it must contain an object"),
        (b"{}", "required key d_sae is missing"),
        (json.dumps({"architecture": "x\n" * 10_000}).encode(), "architecture is 'x"),
    ],
)
def test_damaged_settings_are_refused(tmp_path, content, message):
    folder = saelens(tmp_path / "sae")
    (folder / "cfg.json").write_bytes(content)
    refused(folder, rf"sae/cfg\.json:? {message}")


def test_huge_settings_are_refused(tmp_path):
    folder = saelens(tmp_path / "sae")
    with open(folder / "cfg.json", "wb") as file:
        file.truncate(2**40)
    refused(folder, r"cfg\.json has 1099511627776 bytes; settings have at most")


@pytest.mark.parametrize("name", ["cfg.json", "sae_weights.safetensors"])
def test_broken_links_and_pipes_are_refused(tmp_path, name):
    folder = saelens(tmp_path / "sae")
    (folder / name).unlink()
    (folder / name).symlink_to(folder / name)
    refused(folder, rf"{name} cannot be read \(Too many levels of symbolic links\)")
    (folder / name).unlink()
    (folder / name).symlink_to(folder / "elsewhere")
    refused(folder, rf"{name} cannot be read \(No such file")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, rf"{name} is not a regular file")


def test_a_folder_that_links_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(tmp_path / "loop", r"loop is not a readable folder \(Too many levels")


@pytest.mark.parametrize("kept", [0, 7, 40, -1])
@pytest.mark.parametrize(
    ("write", "name"), [(saelens, "sae_weights.safetensors"), (sparsify, "sae.safetensors")]
)
def test_truncated_safetensors_are_refused(tmp_path, write, name, kept):
    folder = write(tmp_path / "sae")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:kept])
    refused(folder, rf"sae/{name} is not a readable safetensors file")


@pytest.mark.parametrize(
    ("shape", "offsets", "length"),
    [([2**40, 2**40], [0, 16], None), ([2**30], [0, 2**32], None), ([4], [0, 16], 2**62)],
)
def test_safetensors_with_oversized_headers_are_refused(tmp_path, shape, offsets, length):
    folder = saelens(tmp_path / "sae")
    head = {"W_enc": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}
    text = json.dumps(head).encode()
    content = struct.pack("<Q", length or len(text)) + text + bytes(16)
    (folder / "sae_weights.safetensors").write_bytes(content)
    refused(folder, r"sae_weights\.safetensors is not a readable safetensors file")


class Harm:
    """Makes a folder when unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("where", ["beside", "inside"])
def test_code_in_a_pickle_is_not_run(tmp_path, where):
    harm = Harm(tmp_path / "harmed")
    content = {**AUTOENCODER, "more": harm} if where == "beside" else {"bias": harm}
    folder = dictionary_learning(tmp_path / "sae", tensors=content)
    refused(folder, r"ae\.pt is not a readable file of tensors: its pickle calls posix\.mkdir")
    assert not (tmp_path / "harmed").exists()
    torch.load(folder / "ae.pt", weights_only=False)
    assert (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "is not a state dict; it must contain tensors by name"),
        ({1: BIAS}, "is not a state dict; it must contain tensors by name"),
        ({"bias": 3}, "bias is not a dense CPU tensor"),
        ({"bias": torch.zeros(2, device="meta")}, "bias is not a dense CPU tensor"),
        ({"bias": torch.eye(3).to_sparse()}, "bias is not a dense CPU tensor"),
        ({"bias": torch.zeros(1).expand(10**6, 10**6)}, r"bias claims shape \[1000000, 1000000\]"),
        (torch.nn.Linear(2, 2), r"calls torch\.nn\.modules\.linear\.Linear"),
    ],
)
def test_pickles_without_tensors_are_refused(tmp_path, content, message):
    refused(dictionary_learning(tmp_path / "sae", tensors=content), rf"ae\.pt.* {message}")


@pytest.mark.parametrize("kept", [0, 10, 800, -1])
def test_truncated_pickles_are_refused(tmp_path, kept):
    folder = dictionary_learning(tmp_path / "sae")
    content = (folder / "ae.pt").read_bytes()
    (folder / "ae.pt").write_bytes(content[:kept])
    refused(folder, r"ae\.pt is not a readable file of tensors: BadZipFile")


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    folder = dictionary_learning(tmp_path / "sae", tensors={"bias": torch.zeros(4, 5)})
    shape = b"K\x04K\x05\x86"
    rewrite(folder / "ae.pt", lambda pickled: pickled.replace(shape, b"J\0\0\0\x40K\x05\x86"))
    refused(folder, r"ae\.pt is not a readable file of tensors: RuntimeError")


def test_a_storage_larger_than_the_file_is_refused(tmp_path):
    folder = dictionary_learning(tmp_path / "sae", tensors={"bias": torch.zeros(4, 5)})
    numbers = b"K\x14"
    rewrite(
        folder / "ae.pt",
        lambda pickled: pickled.replace(numbers, b"J\0\0\0\x40").replace(
            b"K\x04K\x05\x86", b"J\0\0\0\x10K\x01\x86"
        ),
    )
    refused(folder, r"ae\.pt is not a readable file of tensors: RuntimeError record size")


def test_compressed_files_are_refused(tmp_path):
    folder = dictionary_learning(tmp_path / "sae")
    rewrite(folder / "ae.pt", lambda pickled: pickled, zipfile.ZIP_DEFLATED)
    refused(folder, r"ae\.pt is compressed; files of torch\.save are not")


def rewrite(path, change, method=zipfile.ZIP_STORED):
    """Change the pickle in an archive."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)
