"""Settings of partners and recurrence, of references and transport, and of the test for modes."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class PartnersConfig:
    """One-to-one partners among all latents and among live ones, with chance levels."""

    chance_pairs: int | None = None
    """Number of neighboring pairs with chance levels; all if omitted. With fewer, their mean is
    used for all."""
    seed: int = 0
    """Seed of every chance level."""


@dataclass(frozen=True)
class RecurrenceConfig:
    """Recurrence of each latent in the other dictionaries."""

    threshold: float = 0.7
    """Cosine from which decoder and encoder partners count as shared."""
    seed: int = 0
    """Seed of the gauge scrambles."""


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


@dataclass(frozen=True)
class ModesConfig:
    """Power analysis of the dip test.

    The rule was fixed before any result: two modes if the dip exceeds that of a flat mode.
    """

    power: float = 0.8
    """Power at the minimum detectable separation."""
    draws: int = 100
    """Samples at each separation."""
    seed: int = 0
    """Seed of the samples."""
