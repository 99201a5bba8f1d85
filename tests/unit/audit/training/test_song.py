"""Training of Song et al.: gradient, initialization, and their published first step."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.subjects.synthetic.config import SongSamplesConfig
from audit.subjects.synthetic.song import song_samples
from audit.training.config import SongConfig
from audit.training.song import Parameters, gradient, kth_largest, latents, song
from seedstability.errors import UserError
from seedstability.stability.matching.match import match

G = torch.Generator().manual_seed(5)
X = torch.randn(60, 7, generator=G)
RELU = SongConfig("relu", n_latents=9, k=3, seeds=(1, 2), steps=3, l1=0.05)
TOPK = replace(RELU, architecture="topk")


def parameters():
    sizes = (2, 9, 7), (2, 9, 1), (2, 9, 7), (2, 7, 1)
    return Parameters(*(torch.randn(size, generator=G).double() for size in sizes))


def loss(p, x, config):
    """The loss in plain torch: one dictionary, samples first, torch's selection."""
    f = ((x - p.decoder_bias[:, 0]) @ p.encoder.T + p.encoder_bias[:, 0]).relu()
    if config.architecture == "topk":
        best = f.topk(config.k, dim=1)
        f = torch.zeros_like(f).scatter(1, best.indices, best.values)
    error = f @ p.decoder + p.decoder_bias[:, 0] - x
    return error.square().mean() + config.l1 * f.sum(1).mean()


@pytest.mark.parametrize("config", [RELU, TOPK], ids=["relu", "topk"])
def test_the_explicit_gradient_equals_autograd(config):
    given = parameters()
    found = gradient(given, X.double(), config)
    for seed in range(2):
        own = Parameters(*(p[seed].clone().requires_grad_() for p in given))
        plain = torch.autograd.grad(loss(own, X.double(), config), own)
        for name, ours, theirs in zip(Parameters._fields, found, plain, strict=True):
            assert torch.allclose(ours[seed], theirs, atol=1e-12), name


def test_steps_equal_torchs_adam():
    config = replace(TOPK, learning_rate=0.01)
    found = song(config, {"train": X.numpy()})
    # the same initialization, then autograd and torch's optimizer
    initial = song(replace(config, steps=0), {"train": X.numpy()})
    for seed in range(2):
        own = Parameters(
            *(torch.from_numpy(initial[name][seed].copy()) for name in ("encoder", "encoder_bias")),
            *(torch.from_numpy(initial[name][seed].copy()) for name in ("decoder", "decoder_bias")),
        )
        own = Parameters(own[0], own[1][:, None], own[2], own[3][:, None])
        adam = torch.optim.Adam([p.requires_grad_() for p in own], lr=0.01)
        for _ in range(3):
            adam.zero_grad()
            loss(own, X, config).backward()
            adam.step()
        assert np.allclose(found["decoder"][seed], own.decoder.detach().numpy(), atol=1e-5)
        assert np.allclose(found["encoder"][seed], own.encoder.detach().numpy(), atol=1e-5)


def test_the_k_largest_latents_are_kept():
    given = Parameters(*(p.float() for p in parameters()))
    every, kept = latents(given, X, RELU), latents(given, X, TOPK)
    assert ((kept > 0).sum(1) == (every > 0).sum(1).clamp(max=3)).all()
    assert torch.equal(kept.sum(1), every.topk(3, dim=1).values.sum(1)) or torch.allclose(
        kept.sum(1), every.topk(3, dim=1).values.sum(1)
    )


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_kth_largest_equals_that_of_a_sort_with_ties(k):
    f = torch.randint(0, 4, (2, 6, 50), generator=G).float()
    assert torch.equal(kth_largest(f, k)[:, 0], f.sort(dim=1, descending=True).values[:, k - 1])


def test_initialization_equals_that_of_the_public_classes():
    """Layers in their order from torch's seed, with their lengths, biases and tied weights."""
    seeds = {"seeds": (42,), "steps": 0, "n_latents": 32}
    relu = song(replace(RELU, **seeds), {"train": X.numpy()})
    with torch.random.fork_rng():
        torch.manual_seed(42)
        first = torch.nn.Linear(7, 32)
        torch.nn.Linear(32, 7, bias=False)
        columns = torch.randn(7, 32)
    columns = columns / columns.norm(dim=0) * 0.1
    assert np.allclose(relu["decoder"][0], columns.T.numpy(), atol=1e-7)
    assert np.array_equal(relu["encoder_bias"][0], first.bias.detach().numpy())
    topk = song(replace(TOPK, **seeds), {"train": X.numpy()})
    with torch.random.fork_rng():
        torch.manual_seed(42)
        columns = torch.nn.Linear(32, 7, bias=False).weight.detach()
    assert np.allclose(topk["decoder"][0], (columns / columns.norm(dim=0)).T.numpy(), atol=1e-6)
    assert not topk["encoder_bias"].any()
    for found in (relu, topk):
        assert np.array_equal(found["encoder"], found["decoder"])
        assert not found["decoder_bias"].any()


@pytest.mark.parametrize(
    ("architecture", "published"),
    [("relu", 0.47355536314924374), ("topk", 0.42600409943129725)],
)
def test_the_match_with_the_truth_after_one_step_is_as_published(architecture, published):
    """The first value of the first model in the outputs of their two notebooks."""
    data = song_samples(SongSamplesConfig())
    found = song(SongConfig(architecture, steps=1, seeds=(42,)), data)
    pair = torch.from_numpy(data["directions"]), torch.from_numpy(found["decoder"][0])
    assert match(*pair).matched_cosines.mean().item() == pytest.approx(published, abs=1e-6)


def test_the_trace_has_the_decoders_at_its_steps():
    found = song(replace(RELU, trace_steps=(0, 2, 3)), {"train": X.numpy()})
    trace = found["trace"]
    assert trace["step"].tolist() == [0, 2, 3]
    assert np.array_equal(trace["decoder"][0], found["initial_decoder"])
    assert np.array_equal(trace["decoder"][2], found["decoder"])
    assert not np.array_equal(trace["decoder"][1], found["decoder"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": ()}, "0 seeds"),
        ({"n_latents": 0}, "0 latents"),
        ({"architecture": "topk", "k": 10}, "k is 10"),
        ({"learning_rate": float("inf")}, "not finite"),
    ],
)
def test_invalid_settings_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        song(replace(RELU, **change), {"train": X.numpy()})
