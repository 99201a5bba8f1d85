"""Control dictionaries."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from audit.training import stages
from audit.training.config import ControlConfig
from audit.training.controls import control
from helpers.dictionaries_data import samples
from seedstability.dictionaries.metrics import quality
from seedstability.errors import UserError

X = samples(m=600, d=24)
ACTIVATIONS = {"train": X.numpy(), "heldout": X.numpy()}
KINDS = ("data_points", "kmeans", "ica", "random_decoder")


@pytest.mark.parametrize("kind", KINDS)
def test_controls_have_the_layout_of_trained_dictionaries(kind):
    config = ControlConfig(kind, n_latents=64, seeds=(1, 2), k=4)
    result = stages.control(config, ACTIVATIONS)
    n = 48 if kind == "ica" else 64  # both signs of 24 components
    for part in ("encoder", "decoder", stages.INITIAL):
        assert result[part].shape == (2, n, 24)
    np.testing.assert_allclose(np.linalg.norm(result["decoder"], axis=2), 1, rtol=1e-5)
    assert not np.array_equal(*result["decoder"])
    for sae in stages.saes(result, config.dictionary):
        measured = quality(sae, X)
        assert measured.explained_variance > 0
        assert measured.l0 <= 4


@pytest.mark.parametrize("kind", KINDS)
def test_controls_do_not_depend_on_threads(kind):
    config = ControlConfig(kind, n_latents=64, k=4)
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(control(X, config, seed=3).decoder)
    assert torch.equal(*results)


def test_data_points_are_centered_samples():
    rows = control(X, ControlConfig("data_points", n_latents=50, k=4), seed=1).decoder
    centered = torch.nn.functional.normalize(X - X.mean(0), dim=1)
    assert torch.allclose((rows @ centered.T).amax(1), torch.ones(50), atol=1e-5)


def test_ica_finds_planted_components_with_both_signs():
    generator = torch.Generator().manual_seed(0)
    sources = torch.rand(4000, 6, generator=generator) - 0.5
    mixing = torch.nn.functional.normalize(torch.randn(6, 6, generator=generator), dim=1)
    rows = control(sources @ mixing, ControlConfig("ica", n_latents=64, k=2), seed=1).decoder
    assert rows.shape == (12, 6)
    assert ((mixing @ rows.T).amax(1) > 0.99).all()
    assert ((-mixing @ rows.T).amax(1) > 0.99).all()


def test_ica_ignores_dimensions_without_data():
    flat = X.clone()
    flat[:, 10:] = 0
    assert len(control(flat, ControlConfig("ica", n_latents=64, k=2), seed=1).decoder) == 20


def test_more_latents_than_samples_are_refused():
    with pytest.raises(UserError, match="601 latents from 600 samples"):
        control(X, ControlConfig("data_points", n_latents=601), seed=1)
    with pytest.raises(UserError, match="kind is 'pca'"):
        control(X, ControlConfig("pca", n_latents=64), seed=1)
