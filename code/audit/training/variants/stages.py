"""Training stages of variants."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audit.subjects.language_model.activation_store import training_samples
from audit.training.results import Dictionaries
from audit.training.stages import INITIAL, stack, stacked, train
from audit.training.variants.config import FamilyConfig, VariantConfig
from audit.training.variants.train import train_variants
from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.training.train import Snapshot, train_all
from seedstability.progress import step


def train_family(config: FamilyConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Train the seeds of every run of a family.

    Returns:
        For each run's name the result of `training.stages:train`, without trace and firings.
    """
    found = {}
    members = list(zip(config.names, config.trainings, strict=True))
    for done, (name, training) in enumerate(members):
        with step(done, len(members)):
            found[name] = train_member(training, activations)
    return found


def train_member(
    config: TrainingConfig | VariantConfig, activations: Mapping[str, np.ndarray]
) -> Dictionaries:
    """Train one SAE per seed, with or without variants; no trace and no firings."""
    if isinstance(config, TrainingConfig):
        plain = train(config, activations)
        del plain["trace"], plain["last_epoch_firings"]
        return plain
    trained = train_variants(training_samples(activations, config.samples), config)
    return stacked(trained.saes, trained.initial_decoders)


def train_traced(config: TrainingConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Train one SAE per seed and record the decoders at the traced epochs.

    Returns:
        `initial_decoder` [S, n, d], and `trace` with `epoch` [T] and `decoder` [T, S, n, d].
        Metrics on held-out samples, which would take longer than training, are not measured.
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
