"""Training stages of variants."""

import numpy as np

from audit.subjects.results import Activations
from audit.training.results import Dictionaries, TracedDecoders
from audit.training.samples import training_samples
from audit.training.stages import stack, stacked, train_any
from audit.training.variants.config import FamilyConfig, VariantConfig
from audit.training.variants.train import train_variants
from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.training.train import Snapshot, train_all
from seedstability.progress import step


def train_family(config: FamilyConfig, activations: Activations) -> dict[str, Dictionaries]:
    """Train the seeds of every run of a family, by the name of the run."""
    found = {}
    members = list(zip(config.names, config.trainings, strict=True))
    for done, (name, training) in enumerate(members):
        with step(done, len(members)):
            found[name] = train_member(training, activations)
    return found


def train_member(config: TrainingConfig | VariantConfig, activations: Activations) -> Dictionaries:
    """Train one SAE per seed, with or without variants; no trace and no firings."""
    if isinstance(config, TrainingConfig):
        plain = train_any(config, activations)
        del plain["trace"], plain["last_epoch_firings"]
        return plain
    trained = train_variants(training_samples(activations, config.samples), config)
    dictionaries = stacked(trained.saes, trained.initial_decoders)
    return {**dictionaries, "seeds": np.array(config.seeds)}


def train_traced(config: TrainingConfig, activations: Activations) -> TracedDecoders:
    """Train one SAE per seed and record the decoders at the traced epochs.

    Metrics on held-out samples, which would take longer than training, are not measured.
    """
    epochs: list[int] = []
    decoders: list[np.ndarray] = []

    def watch(snapshot: Snapshot) -> None:
        epochs.append(round(snapshot.epoch))
        decoders.append(stack(sae.decoder.clone() for sae in snapshot.saes))

    runs = train_all(training_samples(activations, config.samples), config, watch=watch)
    return {
        "initial_decoder": stack(run.initial_decoder for run in runs),
        "trace": {"epoch": np.array(epochs), "decoder": np.stack(decoders)},
    }
