"""What is measured about the dictionaries of a sweep. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class HeldoutConfig:
    """Reconstruction and firing on held-out samples, and firing on what was trained on."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    own_samples: int = 0
    """Count firing on so many of the first training samples as well; 0 leaves that out."""
    live_on_own: bool = False
    """Call a latent live that fires on those, and not one that fires on held-out samples."""
