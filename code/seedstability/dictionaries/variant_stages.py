"""Training of variants as a stage: settings and activations in, arrays out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.stages import INITIAL, PARTS, stack, stacked, train
from seedstability.dictionaries.variants import train_variants
from seedstability.dictionaries.variants_config import FamilyConfig, VariantConfig
from seedstability.progress import step
from seedstability.subjects.language_model.store import training_samples


def train_family(config: FamilyConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Train the seeds of every member.

    Returns:
        By the members' names what `dictionaries.stages:train` returns, without trace and firings.
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
