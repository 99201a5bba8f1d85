"""Settings of the evaluation of dictionaries."""

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
    seeds: tuple[int, ...] | None = None
    """Dictionaries of these seeds are measured, or all; each takes about a second."""
    naive_draws: int = 20
    """Dictionaries drawn for the chance level of the naive overlap."""


@dataclass(frozen=True)
class RecoveryConfig:
    """The model's loss when reconstructions replace the activations at a hook point."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    model: str
    """The model whose activations were read."""
    weights_sha256: str
    """Hash of the weights, so that other weights change the stage's key."""
    hook: str
    """The hook point where activations were read and are replaced."""
    contexts: int = 100
    """Maximum number of held-out contexts, from the first on."""
    allow_download: bool = False
    """Whether the model may be downloaded from the hub."""


@dataclass(frozen=True)
class HeldoutConfig:
    """Reconstruction and firing on held-out samples, and firing on training samples."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    own_samples: int = 0
    """Number of training samples, from the first on, on which firing is counted too; 0 for none."""
    live_on_own: bool = False
    """Whether a latent is live that fires on those training samples, instead of on held-out
    samples."""
