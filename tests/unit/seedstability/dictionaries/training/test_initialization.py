"""Initialization of SAEs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.training import stages
from helpers.dictionaries_data import samples
from helpers.dictionaries_presets import ACTIVATIONS, PRESETS, X
from seedstability.dictionaries.config import HUSAI_TOPK, TrainingConfig
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import initialize
from seedstability.dictionaries.training.initialization import geometric_median
from seedstability.dictionaries.training.train import train, train_all
from seedstability.errors import UserError


def test_shared_initialization_and_order_give_one_dictionary():
    config = TrainingConfig(PRESETS["topk"], seeds=(1, 2), init_seeds=(7, 7))
    result = stages.train(config, ACTIVATIONS)
    assert np.array_equal(*result["decoder"])
    own = replace(config, dictionary=replace(PRESETS["topk"], order="own"))
    result = stages.train(own, ACTIVATIONS)
    assert np.array_equal(*result[stages.INITIAL])
    assert not np.array_equal(*result["decoder"])


def test_husai_initialization_is_untied_without_biases():
    sae = initialize(HUSAI_TOPK, d=128, seed=1)
    bound = (6 / 128) ** 0.5
    assert 0.99 * bound < sae.encoder.abs().max() <= bound
    assert not torch.equal(sae.encoder, sae.decoder)
    (trained,) = train(X, PRESETS["husai_topk"], seeds=(1,))
    assert not trained.decoder_bias.any()
    assert trained.encoder_bias.any()


def test_a_tied_initialization_has_equal_directions_and_the_mean_as_bias():
    config = TrainingConfig(replace(PRESETS["relu"], epochs=0), seeds=(1,))
    sae = train_all(X, config)[0].sae
    cosines = torch.nn.functional.cosine_similarity(sae.encoder, sae.decoder)
    torch.testing.assert_close(cosines, torch.ones(64))
    torch.testing.assert_close(sae.decoder_bias, X.mean(0))
    assert quality(sae, X).explained_variance > 0.3


def test_normalized_training_does_not_depend_on_the_scale_of_activations():
    (ours,), (theirs,) = (train(x, PRESETS["relu"], seeds=(1,)) for x in (X, 1000 * X))
    torch.testing.assert_close(ours.decoder, theirs.decoder, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(
        1000 * ours.reconstruct(X), theirs.reconstruct(1000 * X), atol=0.5, rtol=1e-3
    )


def test_training_continues_from_given_dictionaries():
    config = TrainingConfig(replace(PRESETS["topk"], epochs=0), (1, 2))
    trained = train(X, PRESETS["topk"], seeds=(5, 6))
    unchanged = train_all(X, config, initial_saes=trained)
    for one, other in zip(trained, unchanged, strict=True):
        torch.testing.assert_close(one.reconstruct(X), other.sae.reconstruct(X))
    before = trained[0].decoder.clone()
    train_all(X, replace(config, dictionary=PRESETS["topk"]), initial_saes=trained)
    assert torch.equal(trained[0].decoder, before)
    with pytest.raises(UserError, match=r"need one of \[64, 24\] for each of 2 seeds"):
        train_all(X, config, initial_saes=trained[:1])


def test_unit_vectors_from_the_geometric_median_sum_to_zero():
    x = samples(m=300, d=8).exp()
    point = geometric_median(x)
    unit = torch.nn.functional.normalize(x - point, dim=1)
    assert unit.mean(0).norm() < 1e-4
    assert (x.mean(0) - point).norm() > 0.05
    cloud = torch.cat([torch.zeros(10, 3), torch.ones(3, 3)])
    assert geometric_median(cloud).abs().max() < 1e-3


@pytest.mark.parametrize("bias", ["mean", "geometric_median", "zero"])
def test_the_decoder_bias_is_initialized_as_set(bias):
    config = TrainingConfig(replace(PRESETS["topk"], epochs=0, bias_init=bias), (1,))
    found = train_all(X, config)[0].sae.decoder_bias
    expected = {"mean": X.mean(0), "geometric_median": geometric_median(X), "zero": 0 * X[0]}[bias]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
