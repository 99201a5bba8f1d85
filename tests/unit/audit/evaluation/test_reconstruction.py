"""Reconstruction metrics: the plain formulas, and the streamed pass that equals them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.evaluation.config import EvaluationConfig
from audit.evaluation.stages import evaluate
from audit.training import stages
from helpers import reconstruction_formulas as measures
from helpers.dictionaries_data import samples
from seedstability.dictionaries.config import HUSAI_TOPK, RELU, TrainingConfig

X = samples(m=2600, d=16) + 3.0
ACTIVATIONS = {"train": X[:2500].numpy(), "heldout": X[2500:].numpy()}


def test_explained_variance_is_one_for_perfect_and_zero_for_mean_reconstruction():
    assert measures.explained_variance(X, X) == 1
    assert measures.explained_variance(X, X.mean(0).expand_as(X)) == pytest.approx(0, abs=1e-6)
    assert measures.explained_variance_scalar_mean(X, X) == 1
    assert measures.mse(X, X - 2) == pytest.approx(4)


def test_a_scalar_mean_counts_the_mean_activation_as_variance():
    mean = X.mean(0).expand_as(X)
    assert measures.explained_variance_scalar_mean(X, mean) > 0.05
    # it also ignores a constant error
    assert measures.explained_variance_scalar_mean(X, X + 5) == pytest.approx(1)


def test_scalar_mean_variant_equals_the_reports_formula():
    reconstruction = 0.8 * X
    expected = 1 - (X - reconstruction).double().var() / X.double().var()
    found = measures.explained_variance_scalar_mean(X, reconstruction)
    assert found == pytest.approx(expected.item(), rel=1e-9)


def test_sparsity_metrics_count_non_zero_latents():
    latents = torch.tensor([[0.0, -1.0, 2.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
    assert measures.l0(latents) == 1.5
    assert measures.live(latents).tolist() == [False, True, True, False]
    assert measures.dead_fraction(latents) == 0.5


def test_latents_that_fire_fewer_than_ten_times_in_the_last_epoch_are_rare_as_in_001():
    dictionary = replace(HUSAI_TOPK, n_latents=4, k=2, epochs=1)
    trained = stages.train(TrainingConfig(dictionary, seeds=(1, 2)), ACTIVATIONS)
    firings = np.array([[9, 10, 0, 400], [9, 8, 0, 10]])
    result = evaluate(
        EvaluationConfig(dictionary), {**trained, "last_epoch_firings": firings}, ACTIVATIONS
    )
    assert result["rarely_firing_fraction"].tolist() == [0.5, 0.75]


@pytest.mark.parametrize("preset", [RELU, HUSAI_TOPK])
def test_the_streamed_pass_equals_the_formulas(preset):
    dictionary = replace(preset, n_latents=48, k=4, epochs=2)
    trained = stages.train(TrainingConfig(dictionary, seeds=(1, 2)), ACTIVATIONS)
    result = evaluate(EvaluationConfig(dictionary), trained, ACTIVATIONS)
    for part, x in (("train", X[:2500]), ("heldout", X[2500:])):
        for seed, sae in enumerate(stages.saes(trained, dictionary)):
            latents = sae.encode(x)
            made = sae.decode(latents)
            found = {name: values[seed] for name, values in result[part].items()}
            for name in ("explained_variance", "explained_variance_scalar_mean", "mse"):
                expected = getattr(measures, name)(x, made)
                assert found[name] == pytest.approx(expected, rel=1e-4), name
            assert found["l0"] == pytest.approx(measures.l0(latents))
            assert found["dead_fraction"] == pytest.approx(measures.dead_fraction(latents))
            np.testing.assert_allclose(found["firing_rate"], (latents != 0).double().mean(0))
    assert result["live"].shape == (2, 48)
    assert result["live"].dtype == bool
    np.testing.assert_allclose(result["live"].mean(1), 1 - result["heldout"]["dead_fraction"])
    assert "rarely_firing_fraction" in result
