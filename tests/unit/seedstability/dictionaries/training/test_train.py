"""Training loop: order of batches, firings, traces and snapshots."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.training import stages
from helpers.dictionaries_presets import ACTIVATIONS, PRESETS, UNSCALED, X
from seedstability.dictionaries.config import TOPK, TrainingConfig
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.samples import InMemory
from seedstability.dictionaries.training.initialization import initial_sae
from seedstability.dictionaries.training.sae_trainer import SAETrainer
from seedstability.dictionaries.training.train import batch_orders, feed, train_all
from seedstability.stability.chance.closed_form import chance_level
from seedstability.stability.cosine import max_cosine

A_HUNDRED = InMemory(torch.zeros(100, 2))


def test_a_shared_order_is_equal_for_all_seeds_and_own_orders_differ():
    shared, own = (
        [next(batch_orders(A_HUNDRED, replace(TOPK, order=order), 0, seed))[0] for seed in (1, 2)]
        for order in ("shared", "own")
    )
    assert torch.equal(*shared)
    assert not torch.equal(*own)
    other = next(batch_orders(A_HUNDRED, TOPK, 1, seed=1))[0]
    assert not torch.equal(shared[0], other)


def test_every_epoch_is_a_new_shuffle_of_all_samples():
    orders = batch_orders(InMemory(X[:500]), PRESETS["topk"], 0, seed=1)
    first, second = torch.cat(next(orders)), torch.cat(next(orders))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, torch.arange(500))


def test_the_trace_ends_with_the_trained_dictionaries():
    config = TrainingConfig(PRESETS["relu"], seeds=(1, 2), trace_epochs=(0, 2), trace_decoders=True)
    result = stages.train(config, ACTIVATIONS)
    trace = result["trace"]
    assert trace["epoch"].tolist() == [0, 2]
    assert np.array_equal(trace["decoder"][0], result[stages.INITIAL])
    assert np.array_equal(trace["decoder"][1], result["decoder"])
    for seed, sae in enumerate(stages.saes(result, config.dictionary)):
        measured = quality(sae, X[500:])
        for name in stages.TRACED:
            assert trace[name][1, seed] == pytest.approx(getattr(measured, name))


def test_firings_are_those_of_the_last_epoch():
    result = stages.train(TrainingConfig(PRESETS["husai_topk"], seeds=(1,)), ACTIVATIONS)
    assert result["last_epoch_firings"].sum() == 500 * 4


def test_snapshots_have_the_mean_loss_of_the_steps_between_them():
    config = TrainingConfig(PRESETS["husai_topk"], (1, 2), trace_epochs=(0, 2), trace_steps=(3, 5))
    snapshots = []
    train_all(X, config, watch=lambda m: snapshots.append((m.step, m.epoch, m.losses)))
    steps, epochs, losses = zip(*snapshots, strict=True)
    per_epoch = -(-len(X) // 64)
    assert steps == (0, 3, 5, 2 * per_epoch)
    assert epochs == tuple(step / per_epoch for step in steps)
    assert np.isnan(losses[0]).all()
    trainer = SAETrainer(initial_sae(InMemory(X), UNSCALED, PRESETS["husai_topk"], 2), "2")
    batches = feed(InMemory(X), UNSCALED, PRESETS["husai_topk"], 0, 2)
    by_hand = [trainer.step(next(batches)) for _ in range(5)]
    assert losses[1][1] == pytest.approx(np.mean(by_hand[:3]))
    assert losses[2][1] == pytest.approx(np.mean(by_hand[3:]))


def test_the_trace_has_pairwise_similarity_and_its_chance_level():
    config = TrainingConfig(PRESETS["topk"], seeds=(1, 2, 3), trace_epochs=(0, 2))
    result = stages.train(config, ACTIVATIONS)
    trace = result["trace"]
    assert trace["max_cosine"].shape == (2, 3)
    first, third = (torch.from_numpy(result["decoder"][seed]) for seed in (0, 2))
    assert trace["max_cosine"][1, 1] == pytest.approx(max_cosine(first, third), rel=1e-5)
    assert trace["max_cosine_chance"].tolist() == [chance_level(64, 24, "max_cosine")] * 2
    assert trace["max_cosine"][0].mean() == pytest.approx(trace["max_cosine_chance"][0], abs=0.02)
