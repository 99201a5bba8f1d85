"""Settings of the loss recovered."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


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
