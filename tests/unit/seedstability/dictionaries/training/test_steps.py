"""Training steps: schedules, clipping, unit norm and thresholds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.training import stages
from helpers.dense_gradients import gradients
from helpers.dictionaries_data import samples
from helpers.dictionaries_presets import ACTIVATIONS, PRESETS, X
from seedstability.dictionaries.config import RELU, TOPK, TrainingConfig
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import initialize
from seedstability.dictionaries.training.gradients import loss_and_gradients
from seedstability.dictionaries.training.sae_trainer import SAETrainer
from seedstability.dictionaries.training.schedules import rate_share, sparsity_share
from seedstability.dictionaries.training.train import train, train_all


def test_a_frozen_decoder_is_unchanged_while_the_encoder_trains():
    config = TrainingConfig(
        replace(PRESETS["topk"], epochs=10), (1,), frozen_decoder=True, trace_epochs=(0, 10)
    )
    qualities = []
    (trained,) = train_all(
        X, config, watch=lambda snapshot: qualities.append(quality(snapshot.saes[0], X))
    )
    assert torch.equal(trained.sae.decoder, initialize(PRESETS["topk"], 24, 1).decoder)
    assert qualities[-1].explained_variance > qualities[0].explained_variance + 0.01


@pytest.mark.parametrize("name", PRESETS)
def test_decoder_rows_have_length_one_before_and_after_training(name):
    result = stages.train(TrainingConfig(PRESETS[name], seeds=(1,)), ACTIVATIONS)
    for part in ("decoder", stages.INITIAL):
        np.testing.assert_allclose(np.linalg.norm(result[part], axis=2), 1, rtol=1e-5)


def test_without_unit_norm_row_lengths_change():
    config = replace(PRESETS["topk"], unit_norm_decoder=False, remove_parallel_gradient=False)
    (sae,) = train(X, config, seeds=(1,))
    assert (sae.decoder.norm(dim=1) - 1).abs().max() > 1e-3


def test_the_learning_rate_warms_up_and_decays():
    config = replace(TOPK, warm_up_steps=4, decay_share=0.5)
    shares = [rate_share(config, step, 10) for step in range(1, 11)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    sparsity = [sparsity_share(replace(RELU, sparsity_warm_up_steps=2), t) for t in (1, 2, 3)]
    assert sparsity == [0.5, 1, 1]


def test_adams_first_step_has_the_scheduled_learning_rate():
    x = samples(m=64, d=24)
    config = replace(PRESETS["husai_topk"], unit_norm_decoder=False, warm_up_steps=10)
    trainer = SAETrainer(initialize(config, 24, 1), "1")
    before = trainer.sae.decoder.clone()
    trainer.step(x)
    moved = (trainer.sae.decoder - before).abs()
    assert moved.max() == pytest.approx(config.learning_rate / 10, rel=1e-3)


def test_a_clipped_gradient_has_the_clip_norm():
    x = samples(m=64, d=24)
    felt = {"bandwidth": 0.5, "l0_weight": 1.0, "threshold_init": 0.3, "sparsity_warm_up_steps": 0}
    whole = replace(PRESETS["jumprelu"], warm_up_steps=0, **felt)
    batch = loss_and_gradients(initialize(whole, 24, 1), x)
    found = gradients(initialize(whole, 24, 1), batch)
    sae = initialize(whole, 24, 1)
    found["decoder"] -= (found["decoder"] * sae.decoder).sum(1, keepdim=True) * sae.decoder
    square = sum(part.square().sum().item() for part in found.values())
    length = (square + np.square(batch.threshold).sum()) ** 0.5
    moments = {}
    for share in (0.5, 2.0):
        trainer = SAETrainer(initialize(replace(whole, clip_norm=share * length), 24, 1), "1")
        trainer.step(x)
        moments[share] = trainer.state()
    free = SAETrainer(initialize(whole, 24, 1), "1")
    free.step(x)
    for name, moment in free.state().items():
        if name.startswith("mean_"):
            np.testing.assert_allclose(moments[0.5][name], moment / 2, rtol=1e-4, atol=1e-9)
            assert np.array_equal(moments[2.0][name], moment)


def test_batch_topk_learns_a_threshold_that_keeps_about_k():
    (sae,) = train(X, replace(PRESETS["batch_topk"], epochs=10), seeds=(1,))
    assert sae.threshold.unique().numel() == 1
    assert quality(sae, X).l0 == pytest.approx(4, rel=0.15)


def test_jumprelu_learns_thresholds_and_becomes_sparse():
    quick = {"epochs": 30, "learning_rate": 1e-2, "bandwidth": 0.3, "warm_up_steps": 0}
    sparse = replace(PRESETS["jumprelu"], **quick, l0_weight=0.03)
    (sae,) = train(X, sparse, seeds=(1,))
    (dense,) = train(X, replace(sparse, l0_weight=0.0), seeds=(1,))
    assert sae.threshold.std() > 0
    assert quality(sae, X).l0 < 0.8 * quality(dense, X).l0
