"""Dictionaries of a planted truth, and how they are held against it. No torch here."""

from dataclasses import dataclass

from audit.subjects.synthetic.planted_config import PlantedConfig
from seedstability.dictionaries.config import TrainingConfig


@dataclass(frozen=True)
class PlantedArmConfig:
    """Samples of one planted truth, dictionaries trained on them, and what each latent is."""

    truth: PlantedConfig
    """What is planted."""
    training: TrainingConfig
    """The dictionaries."""
    owned_from: float = 0.5
    """Share of a decoder row's squared length in the subspace of a unit from which the latent
    belongs to it. Two units cannot both hold more than half of it unless they overlap."""
    threshold: float = 0.7
    """Cosine at which the covering law is given."""
    seed: int = 0
    """Draws the gauge scrambles and the latents of other units."""
