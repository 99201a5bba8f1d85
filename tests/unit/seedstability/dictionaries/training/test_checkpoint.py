"""An interrupted run resumes to the same bits; checkpoints of other runs are refused."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from helpers.dictionaries_presets import PRESETS, X, identical
from seedstability.dictionaries.config import FORMER_NAMES, TrainingConfig
from seedstability.dictionaries.training.train import RunOptions, train_all
from seedstability.errors import UserError


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("name", PRESETS)
def test_an_interrupted_run_resumes_to_the_same_bits(name, tmp_path):
    per_epoch = -(-len(X) // 64)
    config = TrainingConfig(PRESETS[name], (1, 2), trace_steps=(per_epoch + 3,))
    whole = train_all(X, config)

    def interrupt(_):
        raise Interrupted

    options = RunOptions(checkpoint=tmp_path / "run.safetensors", checkpoint_every=per_epoch + 2)
    with pytest.raises(Interrupted):
        train_all(X, config, options, interrupt)
    seen = []
    resumed = train_all(X, config, options, lambda snapshot: seen.append(snapshot.step))
    assert seen == [per_epoch + 3]
    for one, other in zip(whole, resumed, strict=True):
        assert identical(one.sae, other.sae)
        assert torch.equal(one.last_epoch_firings, other.last_epoch_firings)
    assert list(tmp_path.iterdir()) == [options.checkpoint]


def test_a_finished_run_is_not_trained_again(tmp_path):
    options = RunOptions(checkpoint=tmp_path / "run.safetensors")
    config = TrainingConfig(PRESETS["topk"], (1,), trace_epochs=(0, 1, 2))
    first = train_all(X, config, options)
    again = train_all(X, config, options, watch=lambda _: pytest.fail("it trained"))
    assert identical(first[0].sae, again[0].sae)
    assert first[0].last_epoch_firings.any()
    assert torch.equal(first[0].last_epoch_firings, again[0].last_epoch_firings)


@pytest.mark.parametrize(
    "changed",
    [
        {"seeds": (1, 3)},
        {"dictionary": replace(PRESETS["topk"], learning_rate=1e-3)},
        {"order_seed": 1},
    ],
)
def test_a_checkpoint_of_another_run_is_refused(changed, tmp_path):
    options = RunOptions(checkpoint=tmp_path / "run.safetensors")
    config = TrainingConfig(PRESETS["topk"], (1, 2))
    train_all(X, config, options)
    with pytest.raises(UserError, match="is the checkpoint of other settings, seeds or activ"):
        train_all(X, replace(config, **changed), options)
    with pytest.raises(UserError, match="is the checkpoint of other settings, seeds or activ"):
        train_all(X + 1, config, options)


def test_a_checkpoint_with_former_names_of_settings_is_read(tmp_path):
    options = RunOptions(checkpoint=tmp_path / "run.safetensors")
    config = TrainingConfig(PRESETS["topk"], (1,))
    first = train_all(X, config, options)
    with safe_open(options.checkpoint, "numpy") as file:
        # safetensors' handle is no mapping: it has keys() and cannot be walked itself
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = file.metadata()
    run = json.loads(about["run"])
    dictionary = run["config"]["dictionary"]
    for former, current in FORMER_NAMES.items():
        dictionary[former] = dictionary.pop(current)
    save_file(state, options.checkpoint, about | {"run": json.dumps(run, sort_keys=True)})
    again = train_all(X, config, options)
    assert identical(first[0].sae, again[0].sae)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"run.safetensors is not a readable checkpoint"):
        train_all(X, TrainingConfig(PRESETS["topk"], (1,)), RunOptions(checkpoint=path))
