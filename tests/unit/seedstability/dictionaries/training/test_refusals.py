"""Errors of training: one line, with the seed and the step."""

from dataclasses import replace

import pytest
import torch

from audit.training import stages
from helpers.dictionaries_presets import ACTIVATIONS, PRESETS, UNSCALED, X
from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.samples import InMemory
from seedstability.dictionaries.training.batched import BatchedTrainer
from seedstability.dictionaries.training.initialization import initial_sae
from seedstability.dictionaries.training.threaded import ThreadedTrainer
from seedstability.dictionaries.training.train import feed, train
from seedstability.errors import UserError


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 65}, "k is 65 with 64 latents; it must lie in 1…64"),
        ({"k": 0}, "k is 0"),
        ({"n_latents": 0}, "no dictionary has 0 latents"),
        ({"architecture": "gated"}, "must be one of topk, batch_topk, relu, jumprelu"),
        ({"k": 64, "suppression": 0.1}, "it needs inactive latents"),
        ({"architecture": "relu", "suppression": 0.1}, "only topk has that term"),
        ({"suppression": 0.1}, "suppression shrinks what AuxK revives"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; it must be above 0"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0; it must be above 0, or None"),
        ({"decay_share": 1.5}, "decay_share is 1.5"),
        ({"bandwidth": 0.0}, "bandwidth is 0.0"),
        ({"threshold_ema_decay": 1.0}, "threshold_ema_decay is 1.0"),
    ],
)
def test_invalid_settings_are_refused(change, words):
    with pytest.raises(UserError, match=words):
        train(X, replace(PRESETS["topk"], **change), seeds=(1,))


def test_nan_names_seed_and_step():
    x = X.clone()
    x[17, 3] = torch.nan
    with pytest.raises(UserError, match=r"seed 5, step \d+: the loss is nan"):
        train(x, PRESETS["husai_topk"], seeds=(5,))
    with pytest.raises(UserError, match="do not vary, or contain NaN"):
        train(x, PRESETS["topk"], seeds=(5,))


@pytest.mark.parametrize("device", ["threaded", "batched"])
def test_a_diverging_loss_names_seed_and_step(device):
    wild = replace(PRESETS["husai_relu"], learning_rate=300.0, unit_norm_decoder=False)
    starts = [initial_sae(InMemory(X), UNSCALED, wild, 1)]
    if device == "batched":
        engine = BatchedTrainer(starts, wild, 20, names=["5"])
    else:
        engine = ThreadedTrainer(starts, wild, 20, names=["5"])
    with pytest.raises(
        UserError, match=r"seed 5, step \d+: the loss is .* at the first step: training diverged"
    ):
        engine.advance([feed(InMemory(X), UNSCALED, wild, 0, 5)], 20)


def test_a_dictionary_without_live_latents_names_seed_and_step():
    dying = replace(PRESETS["relu"], l1=1e4, learning_rate=0.1, epochs=9)
    with pytest.raises(UserError, match=r"seed 5, step \d+: no latent fired"):
        train(X, dying, seeds=(5,))


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_missing_device_is_refused(device):
    with pytest.raises(UserError, match=rf"device is '{device}': .*; use cpu"):
        train(X, PRESETS["topk"], seeds=(1,), device=device)


def test_training_without_seeds_is_refused():
    with pytest.raises(UserError, match="seeds is empty"):
        train(X, PRESETS["topk"], seeds=())


def test_init_seeds_must_be_as_many_as_seeds():
    with pytest.raises(UserError, match="init_seeds has 1 entries for 2 seeds"):
        stages.train(TrainingConfig(PRESETS["topk"], (1, 2), init_seeds=(1,)), ACTIVATIONS)


@pytest.mark.parametrize("x", [torch.zeros(0, 24), torch.zeros(24)])
def test_activations_without_samples_are_refused(x):
    with pytest.raises(UserError, match="need samples × d"):
        train(x, PRESETS["topk"], seeds=(1,))
