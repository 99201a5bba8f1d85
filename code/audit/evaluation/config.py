"""What is measured about single dictionaries. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class EvaluationConfig:
    """Reconstruction and sparsity of the dictionaries of one training stage."""

    dictionary: DictionaryConfig
    """How they encode."""


@dataclass(frozen=True)
class FourierConfig:
    """The three Fourier measures of dictionaries trained on modular addition."""

    dictionary: DictionaryConfig
    """How they encode."""
    p: int = 113
    """The modulus."""
    seed: int = 0
    """Draws the chance levels."""
    first: int = 5
    """Measure so many of the dictionaries, from the first on; each takes about a second."""
    naive_draws: int = 20
    """Dictionaries drawn for the chance level of the naive overlap."""
