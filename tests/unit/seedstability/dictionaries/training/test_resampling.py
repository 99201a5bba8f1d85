"""Resampling and AuxK revive dead latents."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.dictionaries_presets import PRESETS, UNSCALED, X
from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.samples import InMemory
from seedstability.dictionaries.training.initialization import initial_sae
from seedstability.dictionaries.training.resampling import resample
from seedstability.dictionaries.training.train import train_all


def share_of_changed_latents_that_fire(change, **settings) -> float:
    """Train with half of the initial latents changed; the share of them that fire at the end."""
    config = replace(PRESETS["topk"], **{"epochs": 30, "auxk": 0, **settings})
    initial = initial_sae(InMemory(X), UNSCALED, config, 1)
    change(initial)
    (trained,) = train_all(X, TrainingConfig(config, (1,)), initial_saes=[initial])
    return (trained.last_epoch_firings[::2] > 0).float().mean().item()


def test_only_resampling_revives_latents_with_very_negative_biases():
    def silence(sae):
        sae.encoder_bias[::2] = -100

    assert share_of_changed_latents_that_fire(silence) == 0
    assert share_of_changed_latents_that_fire(silence, auxk=16, dead_after=400) == 0
    assert share_of_changed_latents_that_fire(silence, resample_every=50) > 0.1


def test_auxk_revives_latents_that_are_never_selected():
    def weaken(sae):
        sae.encoder[::2] *= 0.3

    quick = {"learning_rate": 3e-3, "auxk_weight": 1.0, "dead_after": 400}
    plain = share_of_changed_latents_that_fire(weaken, **quick)
    assert share_of_changed_latents_that_fire(weaken, **quick, auxk=16) > plain + 0.1


def test_a_resampled_latent_has_the_direction_of_a_badly_reconstructed_sample():
    sae = initial_sae(InMemory(X), UNSCALED, PRESETS["topk"], 1)
    dead = np.zeros(64, bool)
    dead[[3, 7]] = True
    new = resample(sae, X, dead, torch.Generator().manual_seed(0))
    assert new.latents.tolist() == [3, 7]
    directions = torch.nn.functional.normalize(sae.centered(X), dim=1)
    match = torch.from_numpy(new.decoder) @ directions.T
    assert match.max(1).values.tolist() == pytest.approx([1, 1], abs=1e-5)
    lengths = np.linalg.norm(new.encoder, axis=1)
    live = sae.encoder[torch.from_numpy(~dead)].norm(dim=1).mean().item()
    np.testing.assert_allclose(lengths, 0.2 * live, rtol=1e-5)
    losses = (sae.reconstruct(X) - X).square().sum(1)
    draws = [resample(sae, X, dead, torch.Generator().manual_seed(s)).decoder for s in range(200)]
    drawn = (torch.from_numpy(np.concatenate(draws)) @ directions.T).argmax(1)
    weights = losses.square().double()
    expected = ((weights / weights.sum()) * losses).sum().item()
    assert losses[drawn].mean().item() == pytest.approx(expected, rel=0.15)
