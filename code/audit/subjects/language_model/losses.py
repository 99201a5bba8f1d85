"""A model's held-out loss per byte, which models of different tokenizers share as a unit."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from audit.subjects.language_model.checkpoint import open_model, open_tokenizer
from audit.subjects.language_model.config import DOMAINS, LossesConfig
from audit.subjects.language_model.results import ByteLoss, ByteLosses, TextResult
from audit.subjects.language_model.text import Contexts
from seedstability.progress import report

_CONTEXTS = 8
"""Contexts in one forward pass: the logits of 49,152 tokens take 200 MB."""


def losses(config: LossesConfig, text: TextResult) -> ByteLosses:
    """Compute the held-out loss on each domain.

    Raises:
        UserError: the model is not available.
    """
    model, tokenizer = open_model(config.model), open_tokenizer(config.model)
    found: Any = {}
    for domain in DOMAINS:
        every = text["heldout"][domain]
        generator = np.random.default_rng(config.seed)
        few = min(config.contexts, len(every))
        contexts = every[np.sort(generator.choice(len(every), few, replace=False))]
        found[domain] = _on(model, tokenizer, contexts)
    return found


@torch.no_grad()
def _on(model: Any, tokenizer: Tokenizer, contexts: Contexts) -> ByteLoss:
    tokens = torch.from_numpy(contexts.astype(np.int64))
    sums = []
    for batch in tokens.split(_CONTEXTS):
        logits = model(batch)[:, :-1]
        targets = batch[:, 1:].flatten()
        sums.append(float(F.cross_entropy(logits.flatten(0, 1), targets, reduction="sum")))
        report(len(sums), -(-len(tokens) // _CONTEXTS))
    written = [tokenizer.decode(context[1:].tolist()) for context in contexts]
    predicted = contexts[:, 1:].size
    return {
        "nats_per_token": sum(sums) / predicted,
        "bytes_per_token": sum(len(each.encode()) for each in written) / predicted,
    }
