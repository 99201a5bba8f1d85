"""Training of the small language model."""

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor
from torch.nn import Parameter
from transformers import GPT2Config, GPT2LMHeadModel

from audit.subjects.language_model.config import LanguageModelConfig
from audit.subjects.language_model.text import Contexts
from seedstability.progress import report

_READ_BATCH = 64


def build(config: LanguageModelConfig) -> GPT2LMHeadModel:
    """Build the model at initialization, every weight drawn from `config.seed`."""
    shape = GPT2Config(
        vocab_size=config.corpus.n_tokens,
        n_positions=config.corpus.context,
        n_embd=config.d_model,
        n_layer=config.n_layers,
        n_head=config.n_heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    # transformers draws from the global generator; the fork keeps the caller's unchanged.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return GPT2LMHeadModel(shape)


def train(config: LanguageModelConfig, contexts: Contexts) -> GPT2LMHeadModel:
    """Train the model by its recipe, with deterministic algorithms.

    Muon (Jordan et al., 2024: orthogonalized momentum) updates the matrices of the blocks, AdamW
    all other parameters. Weight decay applies to matrices only.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    try:
        model = build(config).train()
        _descend(model, config, contexts)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
    return model.eval()


def _descend(model: GPT2LMHeadModel, config: LanguageModelConfig, contexts: Contexts) -> None:
    optimizers = _optimizers(model, config)
    highest = [[group["lr"] for group in each.param_groups] for each in optimizers]
    batches = _batches(config, contexts)
    for step in range(config.steps):
        share = rate_share(config, step)
        for optimizer, rates in zip(optimizers, highest, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = share * rate
        loss = next_token_loss(model, next(batches))
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
        report(step + 1, config.steps)


def _optimizers(model: GPT2LMHeadModel, config: LanguageModelConfig) -> list:
    inner: list[Parameter] = []
    tables: list[Parameter] = []
    vectors: list[Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            vectors.append(parameter)
        else:
            (inner if ".h." in name else tables).append(parameter)
    rest = [
        {"params": tables, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [
        torch.optim.Muon(inner, lr=config.muon_learning_rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, config.beta2)),
    ]


def rate_share(config: LanguageModelConfig, step: int) -> float:
    """Return the learning rate of a step, counted from 0, as a share of the peak rate."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _batches(config: LanguageModelConfig, contexts: Contexts) -> Iterator[Int[Tensor, "b length"]]:
    generator = torch.Generator().manual_seed(config.seed)
    while True:
        order = torch.randperm(len(contexts), generator=generator)
        for rows in order.split(config.batch_size)[: len(contexts) // config.batch_size]:
            yield torch.from_numpy(contexts[rows.numpy()].astype(np.int64))


def next_token_loss(model: GPT2LMHeadModel, tokens: Int[Tensor, "b length"]) -> Tensor:
    """Compute the mean next-token cross-entropy, in nats."""
    logits = model(tokens[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def heldout_loss(model: GPT2LMHeadModel, contexts: Contexts) -> float:
    """Compute the mean next-token cross-entropy over all contexts, in nats."""
    total = 0.0
    for batch in torch.from_numpy(contexts.astype(np.int64)).split(_READ_BATCH):
        total += float(next_token_loss(model, batch)) * len(batch)
    return total / len(contexts)
