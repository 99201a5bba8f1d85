"""An architecture of one's own is one class: it trains, is saved, read, and compared."""

from dataclasses import replace

import pytest
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

import seedstability
from helpers.dictionaries_data import samples
from seedstability.dictionaries.architectures.architecture import Architecture
from seedstability.dictionaries.architectures.registry import ARCHITECTURES, architecture_of
from seedstability.dictionaries.architectures.topk import largest
from seedstability.dictionaries.config import TOPK, PairedConfig
from seedstability.dictionaries.formats.folder import load, save
from seedstability.dictionaries.sae import initialize
from seedstability.dictionaries.training.coupled import train_group
from seedstability.errors import UserError


class AbsoluteTopK(Architecture):
    """The k pre-activations of largest magnitude, with their signs."""

    name = "absolute_topk"
    reads_k = True
    has_sparse_gradients = False

    def select(self, pre: Float[Tensor, "S b n"], threshold, config) -> Float[Tensor, "S b n"]:
        return pre.masked_fill(~largest(pre.abs(), config.k), 0.0)

    def rectifies(self, config):
        return False


CONFIG = replace(TOPK, architecture="absolute_topk", n_latents=24, k=3, auxk=0, epochs=30)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "absolute_topk", AbsoluteTopK())


def test_a_new_architecture_trains_and_is_saved_read_and_compared(registered, tmp_path):
    x = samples(600, 12)
    trained = seedstability.train(x, replace(CONFIG, learning_rate=0.01), seeds=(0, 1))
    latents = trained[0].encode(x)
    assert (latents < 0).any()
    assert ((latents != 0).sum(1) == 3).all()
    untrained = seedstability.train(x, replace(CONFIG, epochs=0), seeds=(0,))[0]
    error, before = ((sae.reconstruct(x) - x).square().mean() for sae in (trained[0], untrained))
    assert error < before / 2

    save(trained[0], tmp_path / "sae")
    again = load(tmp_path / "sae")
    assert torch.equal(again.encode(x), latents)
    compared = seedstability.compare(trained).document["inputs"]["dictionaries"]
    assert [each["architecture"] for each in compared] == ["absolute_topk"] * 2


@pytest.mark.parametrize("name", ["absolute_topk", *ARCHITECTURES])
def test_the_sparse_entries_are_the_latents_before_a_relu(registered, name):
    x, config = samples(70, 12), replace(CONFIG, architecture=name)
    sae = replace(initialize(config, 12, seed=1), threshold=torch.linspace(0.1, 0.5, 24))
    offsets, columns, values = architecture_of(config).active(sae, sae.centered(x))
    dense = torch.from_numpy(sparse.csr_array((values, columns, offsets), (70, 24)).toarray())
    if architecture_of(config).rectifies(config):
        dense = dense.relu()
    assert 0 < (dense != 0).sum() < dense.numel()
    torch.testing.assert_close(dense, sae.encode(x))


def test_what_a_new_architecture_lacks_is_refused(registered):
    x = samples(200, 12)
    with pytest.raises(UserError, match="only topk has that term"):
        seedstability.train(x, replace(CONFIG, suppression=0.1), seeds=(0,))
    with pytest.raises(UserError, match="absolute_topk has no sparse gradients"):
        train_group(x, PairedConfig(CONFIG), (0, 1))


def test_other_libraries_formats_refuse_what_they_do_not_know(registered, tmp_path):
    sae = seedstability.train(samples(200, 12), replace(CONFIG, epochs=0), seeds=(0,))[0]
    for form in ("saelens", "sparsify"):
        with pytest.raises(UserError, match="architecture is absolute_topk"):
            save(sae, tmp_path / form, form)


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="'topkk'; it must be one of topk, batch_topk"):
        architecture_of(replace(TOPK, architecture="topkk"))
