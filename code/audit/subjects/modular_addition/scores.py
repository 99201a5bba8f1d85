"""Accuracy and loss of a subject, at the position where it is trained and one token earlier."""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from audit.subjects.modular_addition.config import ModularAdditionConfig, Position
from audit.subjects.modular_addition.model import (
    answers,
    position_index,
    read_logits,
    sequences,
    split_pairs,
)

_PREFIXES: dict[Position, str] = {"report": "", "answer": "earlier_"}


class Score(NamedTuple):
    """Accuracy and loss on the answers."""

    accuracy: float
    """Share of pairs whose largest logit is that of the answer."""
    loss: float
    """Mean cross-entropy, in nats."""


def score(logits: Float[Tensor, "n d_vocab_out"], labels: Int[Tensor, " n"]) -> Score:
    """Compute accuracy and loss of logits."""
    right = int((logits.argmax(dim=-1) == labels).sum())
    return Score(right / len(labels), float(F.cross_entropy(logits, labels)))


def heldout_scores(
    model: TransformerBridge, config: ModularAdditionConfig
) -> dict[Position, Score]:
    """Score the held-out pairs; `answer` only if it is not the same position as `report`."""
    return _score_pairs(model, config, split_pairs(config).heldout)


def scores(model: TransformerBridge, config: ModularAdditionConfig) -> dict[str, float]:
    """Compute accuracy and loss on training and held-out pairs.

    Returns:
        `accuracy`, `loss` (training pairs), `heldout_accuracy`, `heldout_loss`, all at the position
        where the subject is trained. If the sequence holds the answer, also the same four with the
        prefix `earlier_`, read at "=", one token before the answer is visible.
    """
    pairs = split_pairs(config)
    train = _score_pairs(model, config, pairs.train)
    heldout = _score_pairs(model, config, pairs.heldout)
    found = {}
    for position, before in _PREFIXES.items():
        if position in train:
            found[f"{before}accuracy"], found[f"{before}loss"] = train[position]
            found[f"{before}heldout_accuracy"] = heldout[position].accuracy
            found[f"{before}heldout_loss"] = heldout[position].loss
    return found


def _score_pairs(
    model: TransformerBridge, config: ModularAdditionConfig, pairs: Int[Tensor, "n 2"]
) -> dict[Position, Score]:
    positions: list[Position] = ["report"] if config.subject == "clean" else ["report", "answer"]
    indices = [position_index(config, position) for position in positions]
    logits = read_logits(model, sequences(pairs, config), indices)
    labels = answers(pairs, config.p)
    return {position: score(logits[:, i], labels) for i, position in enumerate(positions)}
