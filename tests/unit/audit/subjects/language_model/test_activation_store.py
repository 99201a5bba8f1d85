"""Activations on disk: the same rows after interruptions and deletions, up to a given count."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from audit.subjects.language_model import activation_store as store
from audit.subjects.language_model.activation_store import open_or_create, read, stored_samples
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


def rows_of(config, contexts) -> torch.Tensor:
    return torch.cat([x[config.hook].flatten(0, 1) for x in read(config, contexts)])


def stop_in_the_fourth_pass(monkeypatch):
    """Interrupt the next run when it writes for the fourth time; return what writes otherwise."""
    scatter, calls = store._scatter, []

    def stopped(*args):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        scatter(*args)

    monkeypatch.setattr(store, "_scatter", stopped)
    return scatter


@pytest.fixture
def massive_at_7(monkeypatch):
    """Token 7 has a norm of a thousand times its own, at every hook point."""
    plain = store._at_hooks

    def inflated(model, tokens, hooks):
        scale = torch.where(tokens == 7, 1000.0, 1.0)[..., None]
        return {hook: x * scale for hook, x in plain(model, tokens, hooks).items()}

    monkeypatch.setattr(store, "_at_hooks", inflated)


def test_rows_are_those_of_the_model_in_another_order(config, contexts):
    config = replace(config, tokens=140)
    plain = rows_of(config, contexts)
    found = whole(open_or_create(config, contexts))
    assert plain.shape == found.shape == (140, plain.shape[1])
    assert not torch.equal(plain, found)
    order = np.lexsort(plain.numpy().T), np.lexsort(found.numpy().T)
    assert torch.equal(plain[order[0]], found[order[1]])


def test_the_first_position_is_skipped(config, contexts):
    other = contexts.copy()
    other[:, 1:] = contexts[:, :1]
    assert next(read(config, contexts))[config.hook].shape[:2] == (4, 7)
    same = replace(config, hook="blocks.0.hook_resid_pre")
    # Embeddings depend on position and token alone: none of these rows is at position 0.
    rows = rows_of(same, np.repeat(contexts[:1, :1], 8, axis=1))
    assert len(torch.unique(rows, dim=0)) == 7


def test_fewer_tokens_are_a_prefix_of_more(config, contexts):
    many = whole(open_or_create(replace(config, tokens=140), contexts))
    few = whole(open_or_create(replace(config, tokens=90), contexts))
    first = whole(open_or_create(replace(config, tokens=140), contexts, 90))
    assert torch.equal(first, many[:90])
    assert torch.equal(few, many[:90])


def test_an_interrupted_run_continues_to_the_same_rows(config, contexts, monkeypatch):
    wanted = whole(open_or_create(config, contexts))
    again = replace(config, allow_download=True)  # another key, the same rows
    scatter = stop_in_the_fourth_pass(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        open_or_create(again, contexts)
    assert len(list(store.store_folder().glob("*.unfinished"))) == 1
    calls = []
    monkeypatch.setattr(store, "_scatter", lambda *args: (calls.append(args), scatter(*args)))
    assert torch.equal(whole(open_or_create(again, contexts)), wanted)
    assert len(calls) == 3  # two of five batches had been flushed
    assert not list(store.store_folder().glob("*.unfinished"))


def test_existing_shards_are_not_read_again(config, contexts, monkeypatch):
    open_or_create(config, contexts)
    monkeypatch.setattr(store, "read", None)
    open_or_create(config, contexts)


def test_deleted_shards_are_recreated_for_training(config, contexts):
    result = {
        "train": whole(open_or_create(config, contexts))[:30].numpy(),
        "train_contexts": contexts,
        "request": json.dumps(asdict(config)),
    }
    shutil.rmtree(store.store_folder())
    samples = stored_samples(result, 100)
    assert samples.shape[0] == 100
    assert np.array_equal(samples.rows(torch.arange(30)).numpy(), result["train"])


def test_large_sets_stay_on_disk(config, contexts, monkeypatch):
    result = {
        "train": np.zeros((1, 1), np.float32),
        "train_contexts": contexts,
        "request": json.dumps(asdict(config)),
    }
    in_memory = stored_samples(result)
    monkeypatch.setattr(store, "_IN_MEMORY", 100)
    mapped = stored_samples(result)
    assert type(in_memory).__name__ == "InMemory"
    assert type(mapped).__name__ == "Shards"
    rows = torch.tensor([3, 119, 60])
    assert torch.equal(mapped.rows(rows), in_memory.rows(rows))


def test_a_missing_hook_point_is_named(config, contexts):
    with pytest.raises(UserError, match=r"'blocks.9.hook_mlp_out' is in block 9, but"):
        open_or_create(replace(config, hook="blocks.9.hook_mlp_out"), contexts)


def test_too_many_samples_are_refused(config, contexts):
    with pytest.raises(UserError, match=r"121 samples requested from .* which has 120"):
        open_or_create(config, contexts, 121)


def test_hook_points_read_together_are_those_read_alone(config, contexts, monkeypatch):
    hooks = ("blocks.0.hook_resid_pre", "blocks.1.hook_mlp_out", config.hook)
    alone = [whole(open_or_create(replace(config, hook=hook), contexts)) for hook in hooks]
    opened = []
    plain = store.read
    monkeypatch.setattr(store, "read", lambda *args: (opened.append(args), plain(*args))[1])
    for hook, wanted in zip(hooks, alone, strict=True):
        others = tuple(each for each in hooks if each != hook)
        found = open_or_create(replace(config, hook=hook, together=others), contexts)
        assert torch.allclose(whole(found), wanted, atol=1e-6)
    assert len(opened) == 1


def test_massive_tokens_are_left_out_and_the_others_fill_their_places(
    config, contexts, massive_at_7
):
    contexts = contexts % 10  # a tenth of all tokens is token 7
    config = replace(config, tokens=60, max_norm_multiple=10.0)
    usual = rows_of(config, contexts)
    usual = usual[contexts[:, 1:].ravel() != 7]
    found = whole(open_or_create(config, contexts))
    assert found.shape == (60, usual.shape[1])
    order = np.lexsort(found.numpy().T), np.lexsort(usual[:60].numpy().T)
    assert torch.equal(found[order[0]], usual[:60][order[1]])


def test_an_interrupted_run_leaves_the_same_tokens_out(config, contexts, massive_at_7, monkeypatch):
    contexts = contexts % 10
    config = replace(config, tokens=110, max_norm_multiple=10.0)
    wanted = whole(open_or_create(config, contexts))
    shutil.rmtree(store.store_folder())
    scatter = stop_in_the_fourth_pass(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        open_or_create(config, contexts)
    monkeypatch.setattr(store, "_scatter", scatter)
    assert torch.equal(whole(open_or_create(config, contexts)), wanted)


@pytest.mark.parametrize("large", ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre"])
def test_each_hook_point_is_held_against_its_own_median(config, contexts, monkeypatch, large):
    plain = store._at_hooks

    def larger(model, tokens, hooks):
        found = plain(model, tokens, hooks)
        return {hook: x * (1000.0 if hook == large else 1.0) for hook, x in found.items()}

    monkeypatch.setattr(store, "_at_hooks", larger)
    config = replace(config, together=("blocks.0.hook_resid_pre",), max_norm_multiple=10.0)
    assert open_or_create(config, contexts).shape[0] == 120


def test_too_few_usual_tokens_are_refused(config, contexts, massive_at_7):
    contexts = contexts % 10
    with pytest.raises(UserError, match=r"140 tokens are wanted, and \d+ of 140 have no massive"):
        open_or_create(replace(config, tokens=140, max_norm_multiple=10.0), contexts)


def test_a_full_disk_is_named_before_anything_is_written(config, contexts, monkeypatch):
    usage = shutil.disk_usage(store.__file__)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100))
    with pytest.raises(UserError, match=r"too little space for 0.0 GB of activations; free"):
        open_or_create(config, contexts)
    assert not list(store.store_folder().rglob("*.npy"))
