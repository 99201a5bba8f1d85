"""The small model on disk: a Hugging Face folder with its training recipe.

`model.safetensors`, `config.json` and `tokenizer.json` are those of any checkpoint, so the small
model is loaded like all others. `recipe.json` records how they were made, with their hashes.
"""

import hashlib
import json
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GPT2LMHeadModel

from audit.subjects.language_model.config import (
    DOMAINS,
    FOLDER,
    SMALL,
    LanguageModelConfig,
    read_recipe,
)
from audit.subjects.language_model.corpus import installed_versions, read_corpus
from audit.subjects.language_model.text import (
    TokenizedText,
    split_documents,
    tokenize,
    train_tokenizer,
)
from audit.subjects.language_model.training import heldout_loss, train
from seedstability.errors import UserError
from seedstability.files import whole_folder

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"


class TrainedModel(NamedTuple):
    """A trained model with its tokenizer and text."""

    model: GPT2LMHeadModel
    """The model after training."""
    tokenizer: Tokenizer
    """Tokenizer trained on the training files."""
    text: TokenizedText
    """Training and held-out text."""
    corpus_sha256: str
    """Hash of the corpus."""


class RetrainReport(NamedTuple):
    """The model trained again, compared with the one on disk."""

    same_bits: bool
    """All weights are bit-identical, and so is the tokenizer."""
    largest_difference: float
    """Largest absolute difference of any weight."""
    heldout_loss: dict[str, float]
    """Held-out loss of the model trained just now, by domain, in nats a token."""
    seconds: float
    """Wall time."""


def make(numeric_abi: str, folder: Path = FOLDER, config: LanguageModelConfig = SMALL) -> None:
    """Train tokenizer and model and write them with their recipe, replacing those on disk.

    Args:
        numeric_abi: numeric ABI of this machine; recorded, not used.
        folder: where the files go; it appears only when it is complete.
        config: the recipe.
    """
    started = time.perf_counter()
    made = _train_from_corpus(config)
    seconds = time.perf_counter() - started
    with whole_folder(folder, replace=True) as unfinished:
        save_file(_weights(made.model), unfinished / WEIGHTS, metadata={"format": "pt"})
        made.model.config.to_json_file(unfinished / "config.json", use_diff=True)
        made.tokenizer.save(str(unfinished / TOKENIZER))
        recipe = {
            "config": asdict(config),
            "corpus_sha256": made.corpus_sha256,
            "corpus_versions": installed_versions(config.corpus),
            "sha256": _sha256(unfinished / WEIGHTS),
            "tokenizer_sha256": _sha256(unfinished / TOKENIZER),
            "results": {"heldout_loss": _losses(made)},
            "numeric_abi": numeric_abi,
            "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
            "wall_seconds": round(seconds, 1),
        }
        (unfinished / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n", "utf-8")
        for path in unfinished.iterdir():
            path.chmod(0o644)


def retrain(folder: Path = FOLDER, config: LanguageModelConfig = SMALL) -> RetrainReport:
    """Train the model again by its recipe and compare it with the one on disk; writes nothing.

    Raises:
        UserError: files are missing, damaged, or not of this code's recipe.
    """
    verified_recipe(folder, config)
    recorded = load_file(folder / WEIGHTS)
    started = time.perf_counter()
    made = _train_from_corpus(config)
    seconds = time.perf_counter() - started
    weights = _weights(made.model)
    same_tokens = made.tokenizer.to_str() == Tokenizer.from_file(str(folder / TOKENIZER)).to_str()
    return RetrainReport(
        same_bits=same_tokens and all(torch.equal(weights[key], recorded[key]) for key in recorded),
        largest_difference=max(
            float((weights[key] - recorded[key]).abs().max()) for key in recorded
        ),
        heldout_loss=_losses(made),
        seconds=seconds,
    )


def verified_recipe(folder: Path = FOLDER, config: LanguageModelConfig = SMALL) -> dict[str, Any]:
    """Return the recipe after checking the hashes of weights and tokenizer.

    Raises:
        UserError: files are missing, damaged, or not of this code's recipe.
    """
    recipe = read_recipe(folder)
    again = "restore it from the repository, or see what `invoke subjects --retrain` says"
    if recipe.get("config") != json.loads(json.dumps(asdict(config))):
        raise UserError(f"{folder / 'recipe.json'} is of another recipe than the code; {again}")
    for name, recorded in ((WEIGHTS, "sha256"), (TOKENIZER, "tokenizer_sha256")):
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise UserError(f"{folder / name} cannot be read ({error.strerror}); {again}") from None
        if found != recipe.get(recorded):
            raise UserError(
                f"{folder / name} is damaged: its sha256 is {found[:12]}…, "
                f"its recipe says {str(recipe.get(recorded))[:12]}…; {again}"
            )
    return recipe


def _train_from_corpus(config: LanguageModelConfig) -> TrainedModel:
    corpus = read_corpus(config.corpus)
    documents = split_documents(corpus, config.corpus)
    tokenizer = train_tokenizer(
        (document.text for document in documents.train), config.corpus.n_tokens
    )
    text = tokenize(documents, tokenizer, config.corpus.context)
    return TrainedModel(train(config, text.of("train")), tokenizer, text, corpus.sha256)


def _losses(made: TrainedModel) -> dict[str, float]:
    return {domain: heldout_loss(made.model, made.text.heldout[domain]) for domain in DOMAINS}


def _weights(model: GPT2LMHeadModel) -> dict[str, Tensor]:
    # Input and output embeddings are one tensor, stored once.
    return {
        name: value.detach().contiguous()
        for name, value in sorted(model.state_dict().items())
        if name != "lm_head.weight"
    }


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def load(folder: Path = FOLDER) -> GPT2LMHeadModel:
    """Load the model with transformers after checking its files, to compute its loss on text."""
    verified_recipe(folder)
    model = GPT2LMHeadModel.from_pretrained(folder, local_files_only=True)
    return model.eval()
