"""How well a subject answers, where it is trained and one token earlier."""

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
    """How well answers are predicted."""

    accuracy: float
    """Share of pairs whose largest logit is the answer's."""
    loss: float
    """Mean cross-entropy, in nats."""


def score(logits: Float[Tensor, "n d_vocab_out"], labels: Int[Tensor, " n"]) -> Score:
    """Accuracy and loss of these logits."""
    right = int((logits.argmax(dim=-1) == labels).sum())
    return Score(right / len(labels), float(F.cross_entropy(logits, labels)))


def heldout_scores(
    model: TransformerBridge, config: ModularAdditionConfig
) -> dict[Position, Score]:
    """Scores on the held-out pairs; `answer` only where that is another position than `report`."""
    return _score_pairs(model, config, split_pairs(config).heldout)


def scores(model: TransformerBridge, config: ModularAdditionConfig) -> dict[str, float]:
    """Accuracy and loss on both parts of the pairs.

    Returns:
        `accuracy`, `loss` (training pairs), `heldout_accuracy`, `heldout_loss`, all where the
        subject is trained; for a sequence that holds the answer also the same four with
        `earlier_` before them: read at "=", one token before the answer is to be seen.
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
