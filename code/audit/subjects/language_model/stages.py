"""Stages: tokenized text, activations and held-out losses of language models."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
import torch

from audit.subjects.language_model import ngrams, small
from audit.subjects.language_model.activation_store import (
    READ_CONTEXTS,
    median_norm,
    open_or_create,
    read,
)
from audit.subjects.language_model.checkpoint import open_tokenizer
from audit.subjects.language_model.config import (
    DOMAINS,
    FOLDER,
    OURS,
    SMALL,
    ActivationsConfig,
    Domain,
    Split,
    StatisticsConfig,
    TextConfig,
)
from audit.subjects.language_model.corpus import Document, read_corpus
from audit.subjects.language_model.results import (
    Losses,
    ModelStatistics,
    TextActivations,
    TextResult,
)
from audit.subjects.language_model.text import Contexts, TokenizedText, split_documents, tokenize
from audit.subjects.language_model.training import heldout_loss
from seedstability.errors import UserError

SAMPLE = 32_768
"""Rows of the shuffled training tokens in a stage's result; the activation store has all."""
_SPARE = 1.1
"""Training contexts drawn for each one that is wanted where tokens are left out. Reading stops when
there are enough."""
_SPARE_HELDOUT = 4
"""The same of held-out contexts, which are left out whole."""


def text(config: TextConfig) -> TextResult:
    """Tokenize the corpus with the tokenizer of one model.

    Raises:
        UserError: a package of the corpus is missing or has another version, or the model is
            missing.
    """
    corpus = read_corpus(config.corpus)
    if corpus.sha256 != config.corpus_sha256:
        installed = ", ".join(
            f"{name} {version}" for name, version in small.installed_versions(config.corpus).items()
        )
        recorded = ", ".join(
            f"{name} {version}" for name, version in small.read_recipe()["corpus_versions"].items()
        )
        raise UserError(
            f"the corpus is not the one that the small model was trained on: {installed} are "
            f"installed, {recorded} were; install requirements/cpu.txt"
        )
    if config.model == OURS:
        small.verified_recipe()
    documents = split_documents(corpus, config.corpus)
    tokens = tokenize(
        documents, open_tokenizer(config.model, config.allow_download), config.corpus.context
    )
    parts: dict[Split, tuple[Document, ...]] = {
        "train": documents.train,
        "heldout": documents.heldout,
    }
    return {
        "train": tokens.train,
        "heldout": tokens.heldout,
        "files": {split: len({each.file for each in part}) for split, part in parts.items()},
        "characters": {
            split: {
                domain: sum(len(each.text) for each in part if each.domain == domain)
                for domain in DOMAINS
            }
            for split, part in parts.items()
        },
    }


def activations(config: ActivationsConfig, text: TextResult) -> TextActivations:
    """Read activations at one hook point.

    Raises:
        UserError: there are too few tokens, or the model or hook point does not exist.
    """
    # Separate generators, so that the held-out contexts depend on their number alone.
    train_draw, heldout_draw = (np.random.default_rng((config.seed, part)) for part in (0, 1))
    found = TokenizedText(text["train"], text["heldout"])
    per_context = next(iter(found.train.values())).shape[1] - 1
    spare = _SPARE if config.max_norm_multiple else 1.0
    wanted = math.ceil(spare * config.tokens / per_context)
    contexts, _ = _drawn(found.train, config.domains, wanted, train_draw)
    shards = open_or_create(config, contexts)
    heldout, heldout_contexts, heldout_domain = _heldout(config, found.heldout, heldout_draw)
    return {
        "train": shards.rows(torch.arange(min(config.tokens, SAMPLE))).numpy(),
        "train_contexts": contexts,
        "request": json.dumps(asdict(config)),
        "heldout": heldout,
        "heldout_contexts": heldout_contexts,
        "heldout_domain": heldout_domain,
    }


def _heldout(
    config: ActivationsConfig, parts: Mapping[Domain, Contexts], generator: np.random.Generator
) -> tuple[np.ndarray, Contexts, np.ndarray]:
    """Read held-out contexts, drawn from more than are wanted where massive norms are left out.

    Returns their activations, their tokens and their domains.
    """
    alone = replace(config, together=())
    wanted = config.heldout_contexts
    drawn = _SPARE_HELDOUT * wanted if config.max_norm_multiple else wanted
    contexts, domain = _drawn(parts, config.domains, drawn, generator)
    if config.max_norm_multiple:
        order = generator.permutation(drawn)
        contexts, domain = contexts[order], domain[order]
    kept, found, limit = [], [], math.inf
    for number, batch in enumerate(x[config.hook] for x in read(alone, contexts)):
        if not number and config.max_norm_multiple:
            limit = config.max_norm_multiple * median_norm(batch)
        usual = (batch.norm(dim=-1) <= limit).all(dim=1)
        kept += (number * READ_CONTEXTS + usual.nonzero()[:, 0]).tolist()
        found.append(batch[usual])
        if len(kept) >= wanted:
            break
    if len(kept) < wanted:
        raise UserError(
            f"{wanted} held-out contexts are wanted, {len(kept)} of {drawn} have no massive norm"
        )
    kept = kept[:wanted]
    rows = torch.cat(found)[:wanted].flatten(0, 1).numpy()
    return rows, np.ascontiguousarray(contexts[kept]), domain[kept]


def statistics(config: StatisticsConfig, text: TextResult) -> ModelStatistics:
    """Compute held-out losses of the small model and of n-gram models."""
    recipe = small.verified_recipe()
    if recipe["sha256"] != config.weights_sha256:
        raise UserError(f"the weights in {FOLDER} are not those this stage was planned with")
    found = TokenizedText(text["train"], text["heldout"])
    train = found.of("train")
    model = small.load()

    def losses(domain: Domain) -> Losses:
        heldout = found.heldout[domain]
        return {
            "model": heldout_loss(model, heldout),
            "ngram": {
                str(order): ngrams.heldout_loss(train, heldout, order, SMALL.corpus.n_tokens)
                for order in config.orders
            },
        }

    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "blocks": SMALL.n_layers,
        "training_tokens": SMALL.steps * SMALL.batch_size * SMALL.corpus.context,
        "code": losses("code"),
        "prose": losses("prose"),
    }


def _drawn(
    parts: Mapping[Domain, Contexts],
    domains: tuple[Domain, ...],
    wanted: int,
    generator: np.random.Generator,
) -> tuple[Contexts, np.ndarray]:
    """Draw contexts from the given domains; return them in text order, with their domains."""
    every = np.concatenate([parts[domain] for domain in domains])
    places = [DOMAINS.index(domain) for domain in domains]
    domain = np.repeat(places, [len(parts[each]) for each in domains]).astype(np.int8)
    if wanted > len(every):
        raise UserError(
            f"{wanted} contexts of {' and '.join(domains)} are wanted, there are {len(every)}; "
            f"take at most {len(every) * (every.shape[1] - 1)} tokens"
        )
    chosen = np.sort(generator.choice(len(every), wanted, replace=False))
    return np.ascontiguousarray(every[chosen]), domain[chosen]
