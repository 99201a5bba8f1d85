"""How the partner of every single latent is looked up. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PartnersConfig:
    """One-to-one partners of latents, live ones apart, with the partners that chance gives."""

    complete: int = 5
    """Every pair of so many first seeds is matched."""
    chance_pairs: int | None = None
    """So many of the neighbouring pairs get chance levels; all of these if left out. With fewer,
    their mean stands for all."""
    seed: int = 0
    """Draws every chance level."""


@dataclass(frozen=True)
class RecurrenceConfig:
    """In which other dictionaries each latent comes back."""

    threshold: float = 0.7
    """Cosine from which decoder and encoder partners count as shared."""
    seed: int = 0
    """Draws the gauge scrambles."""
