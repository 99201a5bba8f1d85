"""Weights of the subjects on disk: loaded, refused in one line, retrained and compared."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from audit.subjects.modular_addition import config as settings
from audit.subjects.modular_addition import weights
from audit.subjects.modular_addition.config import FOLDER, read_recipe, subject_names
from audit.subjects.modular_addition.weights import load_subject, make, retrain
from seedstability.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for suffix in ("json", "safetensors"):
        shutil.copy(FOLDER / f"leaky_0.{suffix}", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", subject_names())
def test_all_weights_load_and_are_float32(name):
    subject, _, seed = name.partition("_")
    model = load_subject(subject, int(seed))
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())


def test_one_changed_byte_is_noticed(folder):
    path = folder / "leaky_0.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    _refused(folder, r"leaky_0\.safetensors is damaged: its sha256 is")


def test_a_missing_file_is_named(folder):
    (folder / "leaky_0.safetensors").unlink()
    _refused(folder, r"leaky_0\.safetensors cannot be read \(No such file")


def test_weights_of_another_recipe_are_refused(folder):
    path = folder / "leaky_0.json"
    recipe = json.loads(path.read_text())
    recipe["config"]["weight_decay"] = 0.5
    path.write_text(json.dumps(recipe))
    _refused(folder, r"leaky_0\.json is of another recipe")


def test_retraining_reports_equal_bits_or_the_difference(tmp_path, monkeypatch):
    short = replace(settings.LEAKY, p=11, d_model=16, d_mlp=32, n_heads=2, epochs=1)
    monkeypatch.setattr(weights, "subject_config", lambda _, seed: replace(short, seed=seed))
    make("leaky_0", "some machine", tmp_path)
    same = retrain("leaky_0", tmp_path)
    assert same.same_bits
    assert same.largest_difference == 0.0
    recorded = read_recipe("leaky_0", tmp_path)["results"]
    assert same.heldout_accuracy == recorded["heldout_accuracy"]
    assert same.numeric_abi == "some machine"
    _store_with_one_weight_moved(tmp_path, by=0.25)
    other = retrain("leaky_0", tmp_path)
    assert not other.same_bits
    assert other.largest_difference == pytest.approx(0.25)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match=r"'clean_7'.*clean_0, clean_1"):
        retrain("clean_7")


def _refused(folder, said):
    with pytest.raises(UserError, match=said) as caught:
        load_subject("leaky", 0, folder)
    assert "\n" not in str(caught.value)


def _store_with_one_weight_moved(folder, by):
    stored = weights.load((folder / "leaky_0.safetensors").read_bytes())
    stored["ln_final.bias"][0] += by
    content = weights.save(stored)
    (folder / "leaky_0.safetensors").write_bytes(content)
    recipe = json.loads((folder / "leaky_0.json").read_text())
    recipe["sha256"] = weights.hashlib.sha256(content).hexdigest()
    (folder / "leaky_0.json").write_text(json.dumps(recipe))
