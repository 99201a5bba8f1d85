"""Settings of the evaluation of a sweep's dictionaries."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


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
