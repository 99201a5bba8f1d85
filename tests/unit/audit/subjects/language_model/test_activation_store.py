"""Activations on disk: the same rows whatever happened on the way, bounded by what was asked."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from audit.subjects.language_model import activation_store as store
from audit.subjects.language_model.activation_store import open_or_make, read, training_samples
from audit.subjects.language_model.config import ActivationsConfig
from helpers.tiny_checkpoints import save
from seedstability.errors import UserError


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDSTABILITY_ACTIVATIONS", str(tmp_path / "activations"))
    monkeypatch.setattr(store, "READ_CONTEXTS", 4)
    monkeypatch.setattr(store, "SHARD_ROWS", 50)
    monkeypatch.setattr(store, "_FLUSH_EVERY", 2)
    folder = save(tmp_path / "model", "gpt2")
    return ActivationsConfig(str(folder), "", "blocks.1.hook_resid_pre", tokens=120)


@pytest.fixture
def contexts():
    return np.random.default_rng(0).integers(0, 90, (20, 8)).astype(np.int32)


def whole(shards) -> torch.Tensor:
    return torch.cat(list(shards.parts()))


def test_rows_are_those_of_the_model_in_another_order(config, contexts):
    config = replace(config, tokens=140)
    plain = torch.cat(list(read(config, contexts)))
    found = whole(open_or_make(config, contexts))
    assert plain.shape == found.shape == (140, plain.shape[1])
    assert not torch.equal(plain, found)
    order = np.lexsort(plain.numpy().T), np.lexsort(found.numpy().T)
    assert torch.equal(plain[order[0]], found[order[1]])


def test_the_first_position_is_left_out(config, contexts):
    other = contexts.copy()
    other[:, 1:] = contexts[:, :1]
    assert len(next(read(config, contexts))) == 4 * 7
    same = replace(config, hook="blocks.0.hook_resid_pre")
    # At the embeddings only position and token count: none of these rows is at position 0.
    rows = torch.cat(list(read(same, np.repeat(contexts[:1, :1], 8, axis=1))))
    assert len(torch.unique(rows, dim=0)) == 7


def test_fewer_tokens_are_the_first_of_more(config, contexts):
    many = whole(open_or_make(replace(config, tokens=140), contexts))
    few = whole(open_or_make(replace(config, tokens=90), contexts))
    first = whole(open_or_make(replace(config, tokens=140), contexts, 90))
    assert torch.equal(first, many[:90])
    assert torch.equal(few, many[:90])


def test_a_run_that_was_stopped_goes_on_to_the_same_rows(config, contexts, monkeypatch):
    wanted = whole(open_or_make(config, contexts))
    again = replace(config, allow_download=True)  # another key, the same rows
    scatter, calls = store._scatter, []

    def stopped_in_the_fourth(*args):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        scatter(*args)

    monkeypatch.setattr(store, "_scatter", stopped_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        open_or_make(again, contexts)
    assert len(list(store.store_folder().glob("*.unfinished"))) == 1
    calls.clear()
    monkeypatch.setattr(store, "_scatter", lambda *args: (calls.append(args), scatter(*args)))
    assert torch.equal(whole(open_or_make(again, contexts)), wanted)
    assert len(calls) == 3  # two of five batches were safe
    assert not list(store.store_folder().glob("*.unfinished"))


def test_what_is_there_is_not_read_again(config, contexts, monkeypatch):
    open_or_make(config, contexts)
    monkeypatch.setattr(store, "read", None)
    open_or_make(config, contexts)


def test_shards_that_are_gone_are_made_again_for_training(config, contexts):
    result = {
        "train": whole(open_or_make(config, contexts))[:30].numpy(),
        "train_contexts": contexts,
        "request": json.dumps(asdict(config)),
    }
    for file in store.store_folder().rglob("*"):
        if file.is_file():
            file.unlink()
    for folder in store.store_folder().glob("*"):
        folder.rmdir()
    samples = training_samples(result, 100)
    assert samples.shape[0] == 100
    assert np.array_equal(samples.rows(torch.arange(30)).numpy(), result["train"])


def test_large_sets_stay_on_disk(config, contexts, monkeypatch):
    result = {
        "train": np.zeros((1, 1), np.float32),
        "train_contexts": contexts,
        "request": json.dumps(asdict(config)),
    }
    in_memory = training_samples(result)
    monkeypatch.setattr(store, "_IN_MEMORY", 100)
    mapped = training_samples(result)
    assert type(in_memory).__name__ == "InMemory"
    assert type(mapped).__name__ == "Shards"
    rows = torch.tensor([3, 119, 60])
    assert torch.equal(mapped.rows(rows), in_memory.rows(rows))


def test_activations_without_a_store_are_taken_as_they_are():
    x = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    assert training_samples({"train": x}).shape == (9, 3)
    first = training_samples({"train": x}, 4)
    assert np.array_equal(first.rows(torch.arange(4)).numpy(), x[:4])


def test_a_hook_that_is_not_there_is_named(config, contexts):
    with pytest.raises(UserError, match=r"'blocks.9.hook_mlp_out' is in block 9, but"):
        open_or_make(replace(config, hook="blocks.9.hook_mlp_out"), contexts)


def test_more_samples_than_there_are_is_refused(config, contexts):
    with pytest.raises(UserError, match=r"121 samples are wanted of .* which holds 120"):
        open_or_make(config, contexts, 121)
