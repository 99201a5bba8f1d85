"""Deterministic training of the modular-addition subjects."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from transformer_lens.model_bridge import TransformerBridge

from audit.subjects.modular_addition.config import ModularAdditionConfig
from audit.subjects.modular_addition.model import (
    answers,
    build,
    position_index,
    sequences,
    split_pairs,
)
from audit.subjects.modular_addition.scores import Score, heldout_scores
from seedstability.progress import report


class Epoch(NamedTuple):
    """Scores of one epoch of training."""

    epoch: int
    """Number of the epoch, from 1."""
    train: Score
    """Score over the batches of this epoch, each before its step."""


def train(config: ModularAdditionConfig) -> TransformerBridge:
    """Train a subject by its recipe, on one thread and with deterministic algorithms."""
    with deterministic_on_one_thread():
        model = build(config)
        for _ in train_epochs(model, config):
            if config.stop_when_right and heldout_scores(model, config)["report"].accuracy == 1.0:
                break
    return model


def train_epochs(model: TransformerBridge, config: ModularAdditionConfig) -> Iterator[Epoch]:
    """Train `model` in place and yield after each epoch.

    The order of the batches is drawn from a separate generator, seeded with `config.seed`.
    """
    pairs = split_pairs(config).train
    tokens, labels = sequences(pairs, config), answers(pairs, config.p)
    index = position_index(config)
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, config.beta2), weight_decay=config.weight_decay
    )
    n_steps = config.epochs * math.ceil(len(pairs) / config.batch_size)
    step = 0
    for epoch in range(1, config.epochs + 1):
        right = 0.0
        loss_sum = 0.0
        for batch in torch.randperm(len(pairs), generator=generator).split(config.batch_size):
            optimizer.param_groups[0]["lr"] = learning_rate(config, step, n_steps)
            logits = model(tokens[batch])[:, index]
            loss = F.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            right += float((logits.argmax(dim=-1) == labels[batch]).sum())
            loss_sum += float(loss.detach()) * len(batch)
        report(epoch, config.epochs)
        yield Epoch(epoch, Score(right / len(pairs), loss_sum / len(pairs)))


def learning_rate(config: ModularAdditionConfig, step: int, n_steps: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.decay == "none":
        return config.learning_rate
    done = (step - config.warmup_steps) / (n_steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


@contextmanager
def deterministic_on_one_thread() -> Iterator[None]:
    """Run with one thread and deterministic algorithms, and restore both settings afterwards."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
