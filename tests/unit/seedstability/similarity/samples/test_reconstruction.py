"""What dictionaries make of streamed activations, by the fast way and by the plain one."""

from dataclasses import replace

import pytest
import torch

from helpers.comparison_data import activations, normal
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.foreign import ForeignSAE
from seedstability.dictionaries.sae import SAE
from seedstability.similarity.samples import reconstruction
from seedstability.similarity.samples.activations import accumulate_moments, open_activations
from seedstability.similarity.samples.reconstruction import reconstruction_metrics

N, D = 128, 16


def an_sae(architecture: str, *, k: int = 4, bias: float = -2.5, rectify: bool = True) -> SAE:
    return SAE(
        normal(N, D, seed=1),
        normal(N, seed=2) + bias,
        normal(N, D, seed=3),
        normal(D, seed=4),
        torch.full((N,), 1.5),
        DictionaryConfig(architecture=architecture, n_latents=N, k=k, rectify=rectify),
    )


@pytest.mark.parametrize(
    "sae",
    [
        an_sae("topk"),
        an_sae("topk", rectify=False),
        an_sae("topk", k=60),
        an_sae("topk", bias=-30.0),
        an_sae("batch_topk"),
        an_sae("relu", bias=-20.0),
        an_sae("relu", bias=1.0),
        an_sae("jumprelu"),
        an_sae("jumprelu", bias=-100.0),
        replace(an_sae("relu"), config=replace(an_sae("relu").config, bias_before_encoder=False)),
        ForeignSAE(**vars(an_sae("relu")), normalization="layer_norm"),
    ],
)
def test_the_fast_way_gives_what_the_plain_one_does(sae, monkeypatch):
    x = activations(3000, D)
    samples = open_activations(x, D)
    total = accumulate_moments(samples).total_sum_of_squares
    (fast,) = reconstruction_metrics([sae], samples, total)
    latents, made = sae.encode_and_reconstruct(x)
    assert fast.l0 == (latents != 0).sum().item() / 3000
    assert torch.equal(fast.firing, (latents != 0).double().mean(0))
    explained = 1 - (x - made).double().square().sum().item() / total
    assert fast.explained_variance == pytest.approx(explained, rel=1e-5, abs=1e-7)
    monkeypatch.setattr(reconstruction, "_SPARSE", 0)
    (plain,) = reconstruction_metrics([sae], samples, total)
    assert torch.equal(plain.firing, fast.firing)
    assert plain.explained_variance == pytest.approx(fast.explained_variance, rel=1e-5, abs=1e-7)


def test_few_latents_are_decoded_one_by_one(monkeypatch):
    called = []
    bag = reconstruction.embedding_bag
    monkeypatch.setattr(
        reconstruction,
        "embedding_bag",
        lambda *given, **more: called.append(1) or bag(*given, **more),
    )
    samples = open_activations(activations(100, D), D)
    reconstruction_metrics([an_sae("topk"), an_sae("relu", bias=-20.0)], samples, 1.0)
    assert len(called) == 2
    reconstruction_metrics([an_sae("topk", k=60), an_sae("relu", bias=1.0)], samples, 1.0)
    assert len(called) == 2
