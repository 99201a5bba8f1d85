"""What is measured about what latents do, as settings. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class CorrelationConfig:
    """How alike the activations of two seeds' latents are, beside how alike their decoders are."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    first: int = 5
    """Compare all pairs of so many of the dictionaries, from the first on."""
    threshold: float = 0.7
    """Cosine, and correlation, from which two latents count as the same."""
    unlike: float = 0.3
    """Cosine below which they count as different."""
    edges: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Inner edges of the bins of decoder cosine."""
    seed: int = 0
    """Draws the chance levels."""


@dataclass(frozen=True)
class AblationConfig:
    """Whether a latent and its partner in another seed do the same to what the model predicts."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    model: str
    """The model that the activations were read from."""
    weights_sha256: str
    """So that other weights mean another result."""
    hook: str
    """Where they were read, and where latents are removed."""
    first: int = 5
    """Dictionaries, from the first on; each is compared with the next, the last with the first."""
    latents: int = 75
    """Latents of each pair, spread evenly over the strata as far as these have so many."""
    strata: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    """Inner edges of the strata, in decoder cosine with the partner."""
    contexts: int = 4
    """Held-out contexts of each latent, drawn from those in which it or its partner fires."""
    positions: int = 32
    """At most so many of the positions there at which one of them fires."""
    neighbours: int = 10
    """The other latent is one of so many that fire as often as the partner, or nearly."""
    seed: int = 0
    """Draws latents, contexts, positions and chance levels."""
    allow_download: bool = False
    """Whether the model may be fetched from the hub."""
