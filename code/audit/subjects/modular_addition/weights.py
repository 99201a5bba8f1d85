"""Trained subjects on disk: weights as safetensors, each with its recipe as JSON."""

import hashlib
import json
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load, save
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from audit.subjects.modular_addition.config import (
    FOLDER,
    ModularAdditionConfig,
    Subject,
    read_recipe,
    subject_config,
    subject_names,
)
from audit.subjects.modular_addition.model import build
from audit.subjects.modular_addition.scores import scores
from audit.subjects.modular_addition.training import train
from seedstability.errors import UserError
from seedstability.files import write_whole

RESTORE_HINT = "restore it from the repository, or see what `invoke subjects --retrain` says"


class RetrainReport(NamedTuple):
    """A subject trained again, compared with its weights on disk."""

    name: str
    """Name of the subject, such as `clean_0`."""
    same_bits: bool
    """All parameters are bit-identical."""
    largest_difference: float
    """Largest absolute difference of any parameter."""
    heldout_accuracy: float
    """Held-out accuracy of the subject trained just now, at the position where it is trained."""
    seconds: float
    """Wall time of the training."""
    numeric_abi: str
    """Machine and libraries that trained the weights on disk. Bits must agree only there."""


def load_subject(subject: Subject, seed: int, folder: Path = FOLDER) -> TransformerBridge:
    """Load a trained subject; `untrained` is built in code.

    Raises:
        UserError: weights or recipe are missing, damaged, or of another recipe than the code's.
    """
    config = subject_config(subject, seed)
    model = build(config)
    if subject != "untrained":
        model.load_state_dict(_read_weights(f"{subject}_{seed}", folder), strict=True)
    return model.eval()


def retrain(name: str, folder: Path = FOLDER) -> RetrainReport:
    """Train a subject again and compare it with the weights on disk; writes nothing.

    Raises:
        UserError: the name is unknown, and as in `load_subject`.
    """
    config = _config_from_name(name)
    recipe = read_recipe(name, folder)
    recorded = _read_weights(name, folder)
    started = time.perf_counter()
    model = train(config)
    seconds = time.perf_counter() - started
    weights = model.state_dict()
    return RetrainReport(
        name=name,
        same_bits=all(torch.equal(weights[key], recorded[key]) for key in weights),
        largest_difference=max(
            float((weights[key] - recorded[key]).abs().max()) for key in weights
        ),
        heldout_accuracy=scores(model, config)["heldout_accuracy"],
        seconds=seconds,
        numeric_abi=recipe["numeric_abi"],
    )


def make(name: str, numeric_abi: str, folder: Path = FOLDER) -> None:
    """Train a subject and write its weights and recipe, replacing those on disk.

    Args:
        name: the subject, such as `clean_0`.
        numeric_abi: numeric ABI of this machine; recorded, not used.
        folder: where both files go.
    """
    config = _config_from_name(name)
    started = time.perf_counter()
    model = train(config)
    seconds = time.perf_counter() - started
    # Sorted, so that the file does not depend on the order of registration of modules.
    weights = {key: value.contiguous() for key, value in sorted(model.state_dict().items())}
    content = save(weights)
    recipe = {
        "config": asdict(config),
        "sha256": hashlib.sha256(content).hexdigest(),
        "results": scores(model, config),
        "numeric_abi": numeric_abi,
        "versions": {name: version(name) for name in ("torch", "transformer-lens")},
        "wall_seconds": round(seconds, 1),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}.safetensors", content)
    write_whole(folder / f"{name}.json", json.dumps(recipe, indent=2) + "\n")


def _config_from_name(name: str) -> ModularAdditionConfig:
    if name not in subject_names():
        raise UserError(f"no subject {name!r} has weights; there are {', '.join(subject_names())}")
    subject, _, seed = name.partition("_")
    return subject_config("leaky" if subject == "leaky" else "clean", int(seed))


def _read_weights(name: str, folder: Path) -> dict[str, Tensor]:
    recipe = read_recipe(name, folder)
    if recipe.get("config") != asdict(_config_from_name(name)):
        raise UserError(f"{folder / name}.json is of another recipe than the code; {RESTORE_HINT}")
    path = folder / f"{name}.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {RESTORE_HINT}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != recipe["sha256"]:
        raise UserError(
            f"{path} is damaged: its sha256 is {sha256[:12]}…, "
            f"its recipe says {recipe['sha256'][:12]}…; {RESTORE_HINT}"
        )
    return load(content)
