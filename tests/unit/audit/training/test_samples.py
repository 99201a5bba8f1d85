"""Training samples come from memory, or from the store of a language model."""

import numpy as np
import torch

from audit.training import samples
from audit.training.samples import training_samples


def test_activations_without_a_store_stay_in_memory():
    x = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    data = {"train": x, "heldout": x}
    assert training_samples(data).shape == (9, 3)
    first = training_samples(data, 4)
    assert first.shape == (4, 3)
    assert np.array_equal(first.rows(torch.arange(4)).numpy(), x[:4])


def test_activations_with_a_request_are_read_from_the_store(monkeypatch):
    monkeypatch.setattr(samples, "stored_samples", lambda data, count: (data["request"], count))
    x = np.zeros((1, 1), np.float32)
    assert training_samples({"train": x, "heldout": x, "request": "{}"}, 7) == ("{}", 7)
