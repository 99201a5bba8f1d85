"""How the dictionaries of several trainings are judged from outside. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class OutsideConfig:
    """Quality, similarity between seeds, agreement with independent dictionaries, and truth."""

    names: tuple[str, ...]
    """The trainings that are judged."""
    dictionaries: tuple[DictionaryConfig, ...]
    """How those of each encode."""
    judges: str
    """The training whose dictionaries judge."""
    heldout: int = 8_192
    """Held-out samples, at most, on which quality is measured."""
    draws: int = 2
    """Pairs of dictionaries drawn for the isotropic and the data level."""
    seed: int = 0
    """Draws every chance level."""


@dataclass(frozen=True)
class TransportConfig:
    """Dictionaries aligned by entropic transport, beside the one-to-one assignment."""

    epsilons: tuple[float, ...] = (0.02, 0.05, 0.1)
    """Strengths of the entropy, in units of cosine."""
    name: str = "plain"
    """The training whose dictionaries are aligned."""
    neighbours: bool = True
    """Each seed with the next, the last with the first; else every pair."""
    seed: int = 0
    """Draws the gauge scrambles."""
