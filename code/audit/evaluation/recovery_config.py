"""What is measured about the model's loss through dictionaries. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class RecoveryConfig:
    """The model's loss when what a hook carries is replaced by a reconstruction."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    model: str
    """The model that the activations were read from."""
    weights_sha256: str
    """So that other weights mean another result."""
    hook: str
    """Where they were read, and where they are replaced."""
    contexts: int = 100
    """Held-out contexts, from the first on, or as many as there are."""
    allow_download: bool = False
    """Whether the model may be fetched from the hub."""
