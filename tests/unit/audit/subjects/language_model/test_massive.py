"""Massive activations are found, counted and told from the rest of the variance."""

import numpy as np
import pytest
import torch

from audit.subjects.language_model import massive as module
from audit.subjects.language_model.config import MassiveConfig
from audit.subjects.language_model.massive import _at, massive


def activations(contexts=20, positions=10, d=6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(contexts, positions, d, generator=generator)


def test_nothing_is_massive_in_noise():
    found = _at(activations(), 10.0)
    assert found["share"] == found["contexts"] == 0.0
    assert found["variance"] == pytest.approx(0.0, abs=1e-12)
    assert 5.0 < found["effective_rank"] <= 6.0
    assert found["mean_share"] < 0.05


def test_few_tokens_with_most_of_the_variance_are_told():
    x = activations()
    x[3, 0, 2] = 1000.0  # at the beginning
    x[7, 5, 2] = -800.0
    found = _at(x, 10.0)
    assert found["share"] == pytest.approx(2 / 200)
    assert found["share_at_beginning"] == pytest.approx(1 / 40)
    assert found["contexts"] == pytest.approx(2 / 20)
    assert found["variance"] > 0.99
    assert found["largest"] > 300
    # what is left is noise again
    assert found["largest_dimension"] < 0.3


def test_a_constant_part_is_told_from_variance():
    x = activations() + 10.0
    found = _at(x, 10.0)
    assert found["mean_share"] > 0.95
    assert found["largest_dimension"] < 0.3


def test_hook_points_are_numbered_in_the_order_given(monkeypatch):
    hooks = ("blocks.9.hook_mlp_out", "blocks.1.hook_resid_pre")

    def read(request, contexts):
        assert (request.hook, request.together) == (hooks[0], hooks[1:])
        yield {hooks[0]: activations(4), hooks[1]: activations(4) + 10.0}

    monkeypatch.setattr(module, "read", read)
    text = {"train": {"code": np.zeros((9, 11), np.int32), "prose": np.zeros((4, 11), np.int32)}}
    found = massive(MassiveConfig("any", "", hooks, contexts=4), text)
    assert found["0"]["mean_share"] < 0.1 < found["1"]["mean_share"]
