"""Settings of the scores against independent references and of optimal transport."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class ReferenceConfig:
    """Quality, similarity between seeds, agreement with references, and recovery of the truth."""

    names: tuple[str, ...]
    """The trainings to score."""
    dictionaries: tuple[DictionaryConfig, ...]
    """Architecture of the dictionaries of each."""
    references: str
    """The training that gives the independent reference dictionaries."""
    heldout: int = 8_192
    """Maximum number of held-out samples on which quality is measured."""
    draws: int = 2
    """Pairs of dictionaries drawn for the isotropic and the data level."""
    seed: int = 0
    """Seed of every chance level."""


@dataclass(frozen=True)
class TransportConfig:
    """Alignment of each seed with the next by entropic optimal transport and by assignment."""

    epsilons: tuple[float, ...] = (0.02, 0.05, 0.1)
    """Strengths of the entropic regularization, on the scale of cosines."""
    name: str = "plain"
    """The training whose dictionaries are aligned."""
    seed: int = 0
    """Seed of the gauge scrambles."""
