"""Settings of the comparison of latents by activations and by ablation."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class CorrelationConfig:
    """Similarity of the activations of two seeds' latents, beside that of their decoders."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    seeds: tuple[int, ...]
    """Seeds of the dictionaries that are compared pairwise."""
    threshold: float = 0.7
    """Cosine, and correlation, from which two latents count as the same."""
    unlike: float = 0.3
    """Cosine below which they count as different."""
    edges: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Inner edges of the bins of decoder cosine."""
    seed: int = 0
    """Seed of the chance levels."""


@dataclass(frozen=True)
class AblationConfig:
    """Effects on the model's predictions of ablating a latent and its partner in another seed."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    model: str
    """The model whose activations were read."""
    weights_sha256: str
    """Hash of the weights, so that other weights change the stage's key."""
    hook: str
    """The hook point where activations were read and latents are ablated."""
    seeds: tuple[int, ...]
    """Seeds of the dictionaries; each is compared with the next, the last with the first."""
    latents: int = 75
    """Latents of each pair, spread over the strata as evenly as the strata allow."""
    strata: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    """Inner edges of the strata, in decoder cosine with the partner."""
    contexts: int = 4
    """Held-out contexts of each latent, drawn from those in which it or its partner fires."""
    positions: int = 32
    """Maximum number of positions, in these contexts, at which one of them fires."""
    neighbours: int = 10
    """The `other` latent is drawn from this many with the nearest firing rates to the partner."""
    seed: int = 0
    """Seed of latents, contexts, positions and chance levels."""
    allow_download: bool = False
    """Whether the model may be downloaded from the hub."""
