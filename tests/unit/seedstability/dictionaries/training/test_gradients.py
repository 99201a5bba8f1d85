"""Sparse gradients agree with dense autograd.

`plain_loss` is a direct implementation for TopK and ReLU; `losses.py` has all architectures and its
own tests.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.dense_gradients import gradients
from helpers.dictionaries_data import samples
from seedstability.dictionaries.architectures import relu
from seedstability.dictionaries.config import (
    BATCH_TOPK,
    HUSAI_RELU,
    HUSAI_TOPK,
    JUMPRELU,
    RELU,
    TOPK,
)
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import SAE, initialize
from seedstability.dictionaries.training.gradients import loss_and_gradients
from seedstability.dictionaries.training.losses import Parameters, loss
from seedstability.dictionaries.training.sae_trainer import SAETrainer

SMALL = {"n_latents": 96, "k": 6, "batch_size": 50}
DIRECT = {
    "topk": replace(TOPK, **SMALL),
    "topk_many": replace(TOPK, **(SMALL | {"k": 80})),
    "topk_signed": replace(TOPK, **SMALL, rectify=False, bias_before_encoder=False),
    "husai_topk": replace(HUSAI_TOPK, **SMALL, suppression=1 / 6),
    "relu": replace(RELU, **SMALL),
    "husai_relu": replace(HUSAI_RELU, **SMALL),
}
CONFIGS = DIRECT | {
    "batch_topk": replace(BATCH_TOPK, **SMALL),
    "jumprelu": replace(JUMPRELU, **SMALL, bandwidth=0.3, threshold_init=0.2, l0_weight=0.05),
    "jumprelu_bias": replace(
        JUMPRELU, **SMALL, bandwidth=0.3, threshold_init=0.1, bias_before_encoder=True
    ),
    "topk_auxk": replace(TOPK, **SMALL, auxk_weight=0.7),
    "batch_topk_auxk": replace(BATCH_TOPK, **SMALL, auxk_weight=0.7),
    "relu_auxk": replace(RELU, **SMALL, auxk=5, auxk_weight=0.7),
}
PARTS = ("encoder", "encoder_bias", "decoder", "decoder_bias")


def plain_loss(sae: SAE, x: torch.Tensor) -> torch.Tensor:
    config = sae.config
    centered = x - sae.decoder_bias if config.bias_before_encoder else x
    pre = centered @ sae.encoder.T + sae.encoder_bias
    kept = torch.ones_like(pre, dtype=torch.bool)
    if config.architecture == "topk":
        columns = pre.topk(config.k, dim=1).indices
        kept = torch.zeros_like(kept).scatter(1, columns, True)
    latents = pre * kept
    if config.architecture == "relu" or config.rectify:
        latents = latents.relu()
    reconstruction = latents @ sae.decoder + sae.decoder_bias
    loss = (reconstruction - x).square().mean() + config.l1 * latents.sum(1).mean()
    if config.suppression:
        square = (reconstruction - x).square().sum(1, keepdim=True)
        others = pre.abs() * ~kept
        loss = loss + config.suppression * (square * others).topk(config.k).values.sum(1).mean()
    return loss


def plain_gradients(sae: SAE, x: torch.Tensor) -> tuple[float, dict[str, torch.Tensor]]:
    leaves = {name: getattr(sae, name).clone().requires_grad_() for name in PARTS}
    loss = plain_loss(replace(sae, **leaves), x)
    loss.backward()
    return loss.item(), {name: leaf.grad for name, leaf in leaves.items()}


def reference_gradients(sae: SAE, x: torch.Tensor, sparsity: float, dead: np.ndarray | None):
    """Loss, gradients by parameter and gradient of the log-thresholds, from `losses`."""
    log_threshold = sae.threshold.clamp_min(1e-30).log()
    values = [getattr(sae, part) for part in PARTS] + [log_threshold]
    leaves = [value.clone()[None].requires_grad_() for value in values]
    marks = None if dead is None else torch.from_numpy(dead)[None]
    total = loss(Parameters(*leaves), x[None], sae.config, sparsity, marks).total.sum()
    found = torch.autograd.grad(total, leaves, materialize_grads=True)
    return total.item(), dict(zip((*PARTS, "threshold"), (g[0] for g in found), strict=True))


def general_initial_sae(config, d: int) -> SAE:
    """Nonzero biases and an untied encoder, so that every term is tested."""
    generator = torch.Generator().manual_seed(5)
    sae = initialize(config, d, seed=3)
    sae.encoder.add_(torch.randn(sae.encoder.shape, generator=generator), alpha=0.1)
    sae.encoder_bias.add_(torch.randn(sae.encoder_bias.shape, generator=generator), alpha=0.1)
    if config.decoder_bias:
        sae.decoder_bias.add_(torch.randn(d, generator=generator), alpha=0.3)
    return sae


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("name", DIRECT)
def test_sparse_gradients_equal_autograd(name):
    config = CONFIGS[name]
    x, sae = samples(m=50, d=24), general_initial_sae(CONFIGS[name], d=24)
    batch = loss_and_gradients(sae, x)
    loss, expected = plain_gradients(sae, x)
    assert batch.loss == pytest.approx(loss, rel=1e-5)
    found = gradients(sae, batch)
    for part in PARTS:
        if part == "decoder_bias" and not config.decoder_bias:
            assert not found[part].any()
            continue
        assert difference(found[part], expected[part]) < 1e-5, part


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("sparsity", [1.0, 0.25])
def test_sparse_gradients_equal_those_of_the_reference_loss(name, sparsity):
    config = CONFIGS[name]
    x, sae = samples(m=50, d=24), general_initial_sae(config, d=24)
    dead = np.arange(96) % 3 == 0 if name.endswith("auxk") else None
    batch = loss_and_gradients(sae, x, sparsity, dead)
    loss, expected = reference_gradients(sae, x, sparsity, dead)
    assert batch.loss == pytest.approx(loss, rel=1e-5)
    found = gradients(sae, batch)
    for part in PARTS:
        if expected[part].any():
            assert difference(found[part], expected[part]) < 1e-5, part
        else:
            assert not found[part].any(), part
    if config.architecture == "jumprelu":
        assert difference(torch.from_numpy(batch.threshold), expected["threshold"]) < 1e-5


def test_every_loss_term_changes_the_loss_in_these_tests():
    x = samples(m=50, d=24)
    dead = np.arange(96) % 3 == 0
    for name, neutral in {
        "relu": {"l1": 0.0},
        "jumprelu": {"l0_weight": 0.0},
        "husai_topk": {"suppression": 0.0},
        "topk_auxk": {"auxk_weight": 0.0},
    }.items():
        sae = general_initial_sae(CONFIGS[name], d=24)
        marks = dead if name.endswith("auxk") else None
        neutral_sae = replace(sae, config=replace(sae.config, **neutral))
        assert (
            abs(
                loss_and_gradients(sae, x, 1.0, marks).loss
                - loss_and_gradients(neutral_sae, x, 1.0, marks).loss
            )
            > 1e-4
        ), name


@pytest.mark.parametrize("name", ["relu", "husai_relu"])
def test_relu_gradients_are_equal_from_entries_and_from_products(name, monkeypatch):
    x, sae = samples(m=50, d=24), general_initial_sae(CONFIGS[name], d=24)
    both = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(relu, "_DENSE_FROM", share)
        batch = loss_and_gradients(sae, x)
        both.append(
            (batch.loss, gradients(sae, batch), batch.firings, len(batch.encoder_entries.weights))
        )
    (loss, found, firings, none), (other_loss, other, other_firings, some) = both
    assert none == 0 < some
    assert loss == pytest.approx(other_loss, rel=1e-6)
    assert np.array_equal(firings, other_firings)
    for part in ("encoder", "encoder_bias", "decoder"):
        assert difference(found[part], other[part]) < 1e-5, part


def test_since_fired_counts_samples_after_the_last_firing():
    x = samples(m=150, d=24)
    trainer = SAETrainer(general_initial_sae(replace(CONFIGS["topk"], k=1), d=24), "1")
    silent = np.zeros(96, int)
    for batch in x.split(50):
        fires = (trainer.sae.encode(batch) != 0).any(0).numpy()
        trainer.step(batch)
        silent = np.where(fires, 0, silent + 50)
        assert np.array_equal(trainer.since_fired, silent)
    assert set(silent) == {0, 50, 100, 150}


@pytest.mark.parametrize("name", DIRECT)
def test_firings_count_samples_with_a_nonzero_latent(name):
    x = samples(m=50, d=24)
    sae = general_initial_sae(CONFIGS[name], d=24)
    assert np.array_equal(loss_and_gradients(sae, x).firings, (sae.encode(x) != 0).sum(0).numpy())


@pytest.mark.parametrize("name", DIRECT)
def test_fifty_steps_reach_the_explained_variance_of_torchs_adam(name):
    """torch's Adam with normalized decoder rows and parallel gradients removed."""
    config = CONFIGS[name]
    x = samples(m=2500, d=24)
    fast = SAETrainer(general_initial_sae(config, d=24), "1")
    plain = general_initial_sae(config, d=24)
    leaves = [getattr(plain, part) for part in PARTS[: 3 + config.decoder_bias]]
    adam = torch.optim.Adam(leaves, lr=config.learning_rate)
    for batch in x.split(50):
        fast.step(batch)
        found = plain_gradients(plain, batch)[1]
        if config.remove_parallel_gradient:
            along = (found["decoder"] * plain.decoder).sum(1, keepdim=True)
            found["decoder"] -= along * plain.decoder
        for part, leaf in zip(PARTS, leaves, strict=False):
            leaf.grad = found[part]
        adam.step()
        plain.decoder.div_(plain.decoder.norm(dim=1, keepdim=True))
    reached = quality(fast.sae, x).explained_variance
    assert reached == pytest.approx(quality(plain, x).explained_variance, abs=1e-4)
    assert difference(fast.sae.decoder, plain.decoder) < 1e-3
