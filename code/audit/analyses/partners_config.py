"""Settings of partners and recurrence of single latents."""

from dataclasses import dataclass


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
