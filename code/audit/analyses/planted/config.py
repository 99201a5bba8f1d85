"""Settings of dictionaries trained on a planted truth and compared with it."""

from dataclasses import dataclass

from audit.subjects.synthetic.config import PlantedConfig
from seedstability.dictionaries.config import TrainingConfig


@dataclass(frozen=True)
class PlantedArmConfig:
    """One planted truth, dictionaries trained on its samples, and the assignment of latents."""

    truth: PlantedConfig
    """The planted truth."""
    training: TrainingConfig
    """Training of the dictionaries."""
    owned_from: float = 0.5
    """Share of a decoder row's squared length in a group's subspace from which the latent is
    assigned to the group. Two groups cannot both hold more than half of it unless they overlap."""
    threshold: float = 0.7
    """Cosine at which the covering probability is computed."""
    seed: int = 0
    """Seed of the gauge scrambles and of the latents of other groups."""
