"""Held-out loss per byte: of the model's own tokens, over the bytes that they stand for."""

import math

import numpy as np
import pytest
import torch

from audit.subjects.language_model import losses as module
from audit.subjects.language_model.config import LossesConfig
from audit.subjects.language_model.losses import losses

VOCABULARY = 8


class Words:
    """A tokenizer of which each token is three letters."""

    def decode(self, tokens):
        return "abc" * len(tokens)


def certain(right: float):
    """A model that gives the next token, which is one more, this probability."""

    def predict(tokens):
        other = math.log((1 - right) / (VOCABULARY - 1))
        logits = torch.full((*tokens.shape, VOCABULARY), other)
        return logits.scatter(2, ((tokens + 1) % VOCABULARY)[..., None], math.log(right))

    return predict


@pytest.mark.parametrize("right", [0.9, 0.2])
def test_the_loss_is_that_of_every_token_but_the_first(monkeypatch, right):
    monkeypatch.setattr(module, "open_model", lambda name: certain(right))
    monkeypatch.setattr(module, "open_tokenizer", lambda name: Words())
    contexts = ((np.arange(20)[:, None] + np.arange(6)) % VOCABULARY).astype(np.int32)
    text = {"heldout": {"code": contexts, "prose": contexts[:3]}}
    found = losses(LossesConfig("any", "", contexts=10), text)
    for domain in ("code", "prose"):
        assert found[domain]["nats_per_token"] == pytest.approx(-math.log(right), rel=1e-5)
        assert found[domain]["bytes_per_token"] == 3.0


def test_the_contexts_are_drawn_by_the_seed(monkeypatch):
    seen = []

    def predict(tokens):
        seen.append(tokens[:, 0].tolist())
        return torch.zeros(*tokens.shape, 50)

    monkeypatch.setattr(module, "open_model", lambda name: predict)
    monkeypatch.setattr(module, "open_tokenizer", lambda name: Words())
    contexts = np.repeat(np.arange(40, dtype=np.int32)[:, None], 4, axis=1)
    text = {"heldout": {"code": contexts, "prose": contexts}}
    for seed in (0, 0, 1):
        losses(LossesConfig("any", "", contexts=5, seed=seed), text)
    assert seen[:2] == seen[2:4] != seen[4:]
