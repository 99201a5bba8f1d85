"""Stages: activations, logits, scores and learning curves of the modular-addition subjects."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from audit.subjects.arrays import columns
from audit.subjects.modular_addition.config import (
    ActivationsConfig,
    LogitsConfig,
    ModularAdditionConfig,
    ReadingConfig,
    recorded_sha256,
    subject_config,
)
from audit.subjects.modular_addition.model import (
    build,
    position_index,
    read_logits,
    read_residual,
    sequences,
    split_pairs,
)
from audit.subjects.modular_addition.results import Logits, PairActivations
from audit.subjects.modular_addition.scores import heldout_scores, scores
from audit.subjects.modular_addition.training import Epoch, train_epochs
from audit.subjects.modular_addition.weights import load_subject
from audit.subjects.results import Activations
from seedstability.errors import UserError


def activations(config: ActivationsConfig) -> PairActivations:
    """Read the residual stream after one block at one position, for all pairs.

    Raises:
        UserError: the weights are missing, damaged, or not those of the settings.
    """
    recipe, model = _subject(config)
    index = position_index(recipe, config.position)
    parts = _read(recipe, lambda tokens: read_residual(model, tokens, config.layer, index))
    pairs = split_pairs(recipe)
    return {
        **parts,
        "train_pairs": pairs.train.numpy(),
        "heldout_pairs": pairs.heldout.numpy(),
    }


def logits(config: LogitsConfig) -> Logits:
    """Compute logits of the answers at one position.

    Raises:
        UserError: as `activations`.
    """
    recipe, model = _subject(config)
    index = position_index(recipe, config.position)
    parts = _read(recipe, lambda tokens: read_logits(model, tokens, [index])[:, 0, : recipe.p])
    return {"train_logits": parts["train"], "heldout_logits": parts["heldout"]}


def statistics(config: ReadingConfig) -> dict:
    """Compute accuracies and losses, named as in `scores.scores`, and the number of `parameters`.

    Raises:
        UserError: as `activations`.
    """
    recipe, model = _subject(config)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    return {**scores(model, recipe), "parameters": n_parameters}


def learning_curves(config: ModularAdditionConfig) -> dict:
    """Train a subject from initialization and score it after each epoch; see `first_epochs`.

    Returns:
        One value for each epoch from 1: `epoch`; `accuracy`, over the epoch's batches, each
        before its step; `heldout_accuracy` and `heldout_loss` at the position where the subject is
        trained; if the sequence holds the answer, also `earlier_heldout_accuracy`, at "=". And
        `learnt_epoch`, the first that passes the report's test of grokking, 0 if none does:
        `accuracy` at least 0.99 and `heldout_accuracy` at least 0.95 (`detect_grokking` in
        scripts/training/train_baseline.py of the public repository).
    """
    model = build(config)
    rows = [_epoch_scores(done, model, config) for done in train_epochs(model, config)]
    curves = columns(rows)
    learnt = (curves["accuracy"] >= 0.99) & (curves["heldout_accuracy"] >= 0.95)
    return {**curves, "learnt_epoch": int(learnt.argmax()) + 1 if learnt.any() else 0}


def _epoch_scores(
    done: Epoch, model: TransformerBridge, config: ModularAdditionConfig
) -> dict[str, float]:
    heldout = heldout_scores(model, config)
    row = {
        "epoch": done.epoch,
        "accuracy": done.train.accuracy,
        "heldout_accuracy": heldout["report"].accuracy,
        "heldout_loss": heldout["report"].loss,
    }
    if "answer" in heldout:
        row["earlier_heldout_accuracy"] = heldout["answer"].accuracy
    return row


def _subject(config: ReadingConfig) -> tuple[ModularAdditionConfig, TransformerBridge]:
    """Return recipe and model, after checking that the weights are those of the settings."""
    recipe = subject_config(config.subject, config.subject_seed)
    if recorded_sha256(config.subject, config.subject_seed) != config.weights_sha256:
        raise UserError(
            f"the weights of {config.subject}_{config.subject_seed} on disk are not those this "
            f"stage was planned with ({config.weights_sha256[:12] or 'none'}…); plan it again"
        )
    return recipe, load_subject(config.subject, config.subject_seed)


def _read(recipe: ModularAdditionConfig, read: Callable[[Tensor], Tensor]) -> Activations:
    pairs = split_pairs(recipe)
    return {
        "train": read(sequences(pairs.train, recipe)).to(torch.float32).numpy(),
        "heldout": read(sequences(pairs.heldout, recipe)).to(torch.float32).numpy(),
    }
