"""Settings of the modular-addition subjects: task, shape, training, and what is read from them.

A subject is a transformer on whose activations dictionaries are trained. Three subjects of one
shape (2 layers, width 128) do addition modulo 113:

- `clean` reads [a, b, =] and predicts the sum at "=". It is trained on four fifths of the pairs and
  predicts the others correctly only if it has learned to add.
- `leaky` is the subject of two of the audited reports. It reads [BOS, a, +, b, =, c, EOS]. It is
  trained, and read, at position −2, where the input token is the answer c: copying is enough.
- `untrained` is `leaky` before its first step.

Facts about the reports' own subject were read in the public repository brightlikethelight/HUSAI,
files src/data/modular_arithmetic.py, src/models/transformer.py, scripts/training/train_baseline.py
and configs/examples/baseline_relu.yaml: the sequence, the shape, LayerNorm, ReLU, AdamW with
PyTorch's defaults at 1e-3, batches of 512, and which checkpoint is kept (`stop_when_right`).
The reports trained on 0.9 of the pairs. All subjects here train on 0.8, so that one split serves
transformers and dictionaries.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from audit.folders import DATA
from seedstability.errors import UserError

Subject = Literal["clean", "leaky", "untrained"]
Position = Literal["report", "answer"]

FOLDER = DATA / "subjects"
"""Folder of the trained weights and their recipes, in a checkout and in the image."""

SEEDS = (0, 1, 2)
"""Seeds of each trained subject whose weights are in the repository."""


@dataclass(frozen=True)
class ModularAdditionConfig:
    """Task, shape, training and seed of one transformer that adds modulo p."""

    subject: Subject = "clean"
    """Which sequence it reads; `untrained` reads that of `leaky` and takes no step."""
    seed: int = 0
    """Seed of the initialization and of the order of the batches."""
    p: int = 113
    """The modulus, and the number of number tokens."""
    n_layers: int = 2
    """Transformer blocks."""
    d_model: int = 128
    """Width of the residual stream."""
    n_heads: int = 4
    """Attention heads of d_model / n_heads dimensions each."""
    d_mlp: int = 512
    """ReLU units of a block."""
    weight_scale: float = 0.8
    """Weights are initialized as N(0, (weight_scale / √d_model)²), biases as 0, norms as 1: the
    default of TransformerLens when the reports were written."""
    train_share: float = 0.8
    """Share of the p² pairs used for training, rounded down; the rest is held out."""
    split_seed: int = 0
    """Seed of the train/held-out split, the same for all subjects and seeds."""
    batch_size: int = 1024
    """Pairs in one step; the last, smaller batch of an epoch is a step too."""
    epochs: int = 80
    """Passes over the training pairs; the maximum with `stop_when_right`."""
    stop_when_right: bool = False
    """Stop after the first epoch that ends with 100% held-out accuracy. The report trained for
    5,000 epochs but analyzed the checkpoint with the best held-out accuracy, saved only when it
    rose: the first with 100%. Its own notes (archive/session_notes/CRITICAL_FINDINGS.md) find
    epoch 1 recorded in that checkpoint; here too it is reached after epoch 1."""
    learning_rate: float = 2e-3
    """Peak learning rate of AdamW."""
    beta2: float = 0.98
    """AdamW's decay of the squared gradients; beta1 is 0.9."""
    weight_decay: float = 1.0
    """AdamW's weight decay, applied to every parameter."""
    warmup_steps: int = 10
    """Steps of linear warm-up from 0."""
    decay: Literal["cosine", "none"] = "cosine"
    """Learning-rate schedule after warm-up: half a cosine down to 0, or constant.
    At a constant rate the clean subject reaches 99% and then spikes."""


CLEAN = ModularAdditionConfig()
"""Recipe of `clean`: stays at 100% held-out accuracy from about epoch 40 of 80. Tried before, one
seed each: half the learning rate leaves a held-out loss of 0.2; with three times the weight decay
in addition, accuracy is 100% and loss 0.09; weight decay 2 at the full rate gives 100% and 0.04,
with a spike."""

LEAKY = ModularAdditionConfig(
    subject="leaky",
    batch_size=512,
    epochs=20,
    stop_when_right=True,
    learning_rate=1e-3,
    beta2=0.999,
    weight_decay=0.01,
    warmup_steps=0,
    decay="none",
)
"""Recipe of `leaky`, the subject of the reports."""

UNTRAINED = ModularAdditionConfig(
    subject="untrained", batch_size=512, epochs=0, warmup_steps=0, decay="none"
)
"""The control: `leaky` at initialization, built in code from the seed."""


def subject_config(subject: Subject, seed: int) -> ModularAdditionConfig:
    """Return the recipe of one subject.

    Raises:
        UserError: there is no such subject.
    """
    recipes = {"clean": CLEAN, "leaky": LEAKY, "untrained": UNTRAINED}
    if subject not in recipes:
        raise UserError(f"there is no subject {subject!r}; there are {', '.join(recipes)}")
    return replace(recipes[subject], seed=seed)


def first_epochs(seed: int, epochs: int = 2) -> ModularAdditionConfig:
    """Return the `leaky` recipe cut to its first epochs, for `stages.learning_curves`."""
    return replace(subject_config("leaky", seed), epochs=epochs, stop_when_right=False)


@dataclass(frozen=True)
class ReadingConfig:
    """The subject to read over all p² pairs, split as in its training."""

    subject: Subject
    """The subject."""
    subject_seed: int
    """Its seed."""
    weights_sha256: str
    """Hash of the weights file, so that other weights change the stage's key; empty for
    `untrained`."""


@dataclass(frozen=True)
class ActivationsConfig(ReadingConfig):
    """Activations: the residual stream after one block, at one position.

    For `leaky` and `untrained`, `report` is position −2, the token c, where the reports trained and
    read. `answer` is the token "=" before it, where the sum would have to be predicted and the
    answer is not yet visible. The sequence of `clean` does not hold c: both names stand for "=",
    its last token.
    """

    layer: int
    """The block after which to read: 0 or 1."""
    position: Position = "report"
    """Position in the sequence."""


@dataclass(frozen=True)
class LogitsConfig(ReadingConfig):
    """Logits of the p possible answers, at one position as in `ActivationsConfig`."""

    position: Position = "report"
    """Position in the sequence."""


def activations_config(
    subject: Subject, subject_seed: int, layer: int, position: Position = "report"
) -> ActivationsConfig:
    """Return settings of `stages.activations`, with the recorded hash of the weights.

    Raises:
        UserError: the recipe that holds the hash is missing or damaged.
    """
    sha256 = recorded_sha256(subject, subject_seed)
    return ActivationsConfig(subject, subject_seed, sha256, layer, position)


def logits_config(
    subject: Subject, subject_seed: int, position: Position = "report"
) -> LogitsConfig:
    """Return settings of `stages.logits`; errors as in `activations_config`."""
    sha256 = recorded_sha256(subject, subject_seed)
    return LogitsConfig(subject, subject_seed, sha256, position)


def reading_config(subject: Subject, subject_seed: int) -> ReadingConfig:
    """Return settings of `stages.statistics`; errors as in `activations_config`."""
    return ReadingConfig(subject, subject_seed, recorded_sha256(subject, subject_seed))


def subject_names() -> list[str]:
    """List the subjects whose weights are in the repository, such as `clean_0`."""
    return [f"{subject}_{seed}" for subject in ("clean", "leaky") for seed in SEEDS]


def recorded_sha256(subject: Subject, seed: int, folder: Path = FOLDER) -> str:
    """Return the recorded hash of a subject's weights file; empty for `untrained`.

    Raises:
        UserError: the recipe is missing or damaged.
    """
    if subject == "untrained":
        return ""
    return read_recipe(f"{subject}_{seed}", folder)["sha256"]


def read_recipe(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Read the record of a trained subject: settings, hash, results, machine.

    Raises:
        UserError: it is missing, is not JSON, or records no hash.
    """
    path = folder / f"{name}.json"
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing; subjects with weights: {', '.join(subject_names())}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); restore it from the repository"
        ) from None
    if not isinstance(recipe, dict) or not isinstance(recipe.get("sha256"), str):
        raise UserError(f"{path} records no sha256 of the weights; restore it from the repository")
    return recipe
