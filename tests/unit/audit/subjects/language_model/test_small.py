"""The small language model on disk: loaded, refused in one line, retrained to the same bits."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.subjects.language_model import small, training
from audit.subjects.language_model.config import (
    FOLDER,
    SMALL,
    CorpusConfig,
    LanguageModelConfig,
    weights_sha256,
)
from audit.subjects.language_model.corpus import Corpus, SourceFile
from seedstability.errors import UserError

TINY = LanguageModelConfig(
    corpus=CorpusConfig(heldout_share=0.2, n_tokens=300, context=16),
    n_layers=1,
    d_model=16,
    n_heads=2,
    batch_size=8,
    steps=30,
    warmup_steps=3,
    threads=1,
)


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(FOLDER, tmp_path / "language_model")


@pytest.fixture
def toy_corpus(monkeypatch):
    files = [
        SourceFile(f"{i}.py", f'"""About {i * 7} and {i}."""\nx = {i}\n' * 20) for i in range(30)
    ]
    monkeypatch.setattr(small, "read_corpus", lambda config: Corpus(files, "toy"))
    monkeypatch.setattr(small, "installed_versions", lambda config: {"toy": "1"})


def test_the_weights_in_the_repository_are_complete_and_finite():
    recipe = small.verified_recipe()
    model = small.load()
    assert weights_sha256("small") == recipe["sha256"]
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert model.lm_head.weight is model.transformer.wte.weight


def test_the_recipe_records_a_loss_for_each_domain():
    # The recorded loss is over all held-out contexts, so a toy text only gives a sanity check.
    contexts = np.tile(np.arange(128, dtype=np.int32), (2, 1))
    assert training.heldout_loss(small.load(), contexts) > 1
    assert small.read_recipe()["results"]["heldout_loss"].keys() == {"code", "prose"}


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_one_changed_byte_is_noticed(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged: its sha256 is"):
        small.verified_recipe(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "recipe.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} cannot be read .*restore it"):
        small.verified_recipe(folder)


def test_weights_of_another_recipe_are_refused(folder):
    with pytest.raises(UserError, match=r"recipe\.json is of another recipe than the code"):
        small.verified_recipe(folder, replace(SMALL, steps=1))


def test_a_recipe_without_hashes_is_refused(folder):
    (folder / "recipe.json").write_text(json.dumps({"sha256": 3}))
    with pytest.raises(UserError, match="records no hashes"):
        small.verified_recipe(folder)


def test_retraining_gives_the_same_bits(tmp_path, toy_corpus):
    small.make("a machine", tmp_path / "made", TINY)
    files = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert files == ["config.json", "model.safetensors", "recipe.json", "tokenizer.json"]
    report = small.retrain(tmp_path / "made", TINY)
    assert report.same_bits
    assert report.largest_difference == 0.0
    recipe = small.verified_recipe(tmp_path / "made", TINY)
    assert report.heldout_loss == pytest.approx(recipe["results"]["heldout_loss"])


def test_another_seed_gives_another_model(tmp_path, toy_corpus):
    small.make("a machine", tmp_path / "made", TINY)
    recipe = json.loads((tmp_path / "made" / "recipe.json").read_text())
    recipe["config"]["seed"] = 1
    (tmp_path / "made" / "recipe.json").write_text(json.dumps(recipe))
    report = small.retrain(tmp_path / "made", replace(TINY, seed=1))
    assert not report.same_bits
    assert report.largest_difference > 0.01


def test_a_failure_leaves_the_existing_model(tmp_path, toy_corpus, monkeypatch):
    small.make("a machine", tmp_path / "made", TINY)
    before = (tmp_path / "made" / "model.safetensors").read_bytes()
    monkeypatch.setattr(small, "_losses", lambda made: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        small.make("a machine", tmp_path / "made", TINY)
    assert (tmp_path / "made" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_training_learns_and_restores_the_state_of_torch():
    contexts = np.tile(np.arange(16, dtype=np.int32) * 3, (16, 1))
    contexts[:, 1:] += np.arange(16, dtype=np.int32)[:, None] % 2
    state = torch.get_rng_state(), torch.get_num_threads()
    before = training.heldout_loss(training.build(TINY).eval(), contexts)
    after = training.heldout_loss(training.train(TINY, contexts), contexts)
    assert after < 0.85 * before
    assert torch.equal(torch.get_rng_state(), state[0])
    assert torch.get_num_threads() == state[1]
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_learning_rate_rises_then_falls_to_zero():
    config = replace(SMALL, steps=100, warmup_steps=10)
    shares = [training.rate_share(config, step) for step in range(101)]
    assert shares[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert max(shares) == shares[10] == 1.0
    assert shares[100] == pytest.approx(0.0, abs=1e-12)
