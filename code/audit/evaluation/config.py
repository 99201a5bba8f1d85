"""Settings of the evaluation of single dictionaries."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class EvaluationConfig:
    """Reconstruction and sparsity of the dictionaries of one training stage."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""


@dataclass(frozen=True)
class FourierConfig:
    """The three Fourier measures of dictionaries trained on modular addition."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    p: int = 113
    """The modulus."""
    seed: int = 0
    """Seed of the chance levels."""
    first: int = 5
    """Number of dictionaries measured, from the first on; each takes about a second."""
    naive_draws: int = 20
    """Dictionaries drawn for the chance level of the naive overlap."""
