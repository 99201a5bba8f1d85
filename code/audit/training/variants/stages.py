"""Training of variants as a stage: settings and activations in, arrays out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audit.subjects.language_model.activation_store import training_samples
from audit.training.stages import INITIAL, PARTS, stack, stacked, train
from audit.training.variants.config import FamilyConfig, VariantConfig
from audit.training.variants.train import train_variants
from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.training.train import Snapshot, train_all
from seedstability.progress import step


def train_family(config: FamilyConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Train the seeds of every member.

    Returns:
        By the members' names what `training.stages:train` returns, without trace and firings.
    """
    found = {}
    members = list(zip(config.names, config.trainings, strict=True))
    for done, (name, training) in enumerate(members):
        with step(done, len(members)):
            found[name] = train_member(training, activations)
    return found


def train_member(
    config: TrainingConfig | VariantConfig, activations: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Train one SAE for each seed, plainly or otherwise."""
    if isinstance(config, TrainingConfig):
        plain = train(config, activations)
        return {name: plain[name] for name in (*PARTS, INITIAL)}
    trained = train_variants(training_samples(activations, config.samples), config)
    return {**stacked(trained.saes), INITIAL: stack(trained.initial_decoders)}


def train_traced(config: TrainingConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Train one SAE for each seed and keep the decoders at the epochs that are traced.

    Returns:
        `initial_decoder` [S, n, d], and under `trace` `epoch` [T] and `decoder` [T, S, n, d]: what
        of `training.stages:train` a comparison along the training reads. Nothing is measured on
        held-out samples, which would take longer than the training does.
    """
    epochs: list[int] = []
    decoders: list[np.ndarray] = []

    def watch(snapshot: Snapshot) -> None:
        epochs.append(round(snapshot.epoch))
        decoders.append(stack(sae.decoder.clone() for sae in snapshot.saes))

    runs = train_all(training_samples(activations, config.samples), config, watch=watch)
    return {
        INITIAL: stack(run.initial_decoder for run in runs),
        "trace": {"epoch": np.array(epochs), "decoder": np.stack(decoders)},
    }
