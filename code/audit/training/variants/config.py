"""Settings of training variants beyond `DictionaryConfig`.

All are off by default; training then equals `train_all`.
"""

from dataclasses import dataclass
from typing import Literal

from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig

Init = Literal["drawn", "data_points", "centroids"]
Form = Literal["free", "tied", "archetypal"]
Term = Literal["none", "orthogonality", "l2", "consistency", "mfr"]


@dataclass(frozen=True)
class VariantConfig:
    """Settings of several seeds of one dictionary, trained with variants."""

    dictionary: DictionaryConfig = TOPK
    """The dictionary and its training."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One SAE per seed, in this order."""
    order_seed: int = 0
    """Seed of the order of batches; with order `own` combined with the SAE's seed."""
    samples: int | None = None
    """Train on the first `samples` samples; on all by default."""
    init: Init = "drawn"
    """Initialization of decoder and encoder rows: drawn as the dictionary's settings say; centered
    samples drawn without replacement; or k-means centroids of samples."""
    shared_init: bool = False
    """Initialize all seeds with the samples, or centroids, of the first seed; else each with its
    own."""
    clustered: int = 16_384
    """Number of samples, drawn by the seed, for k-means. The first ones are its initial
    centroids."""
    rounds: int = 10
    """Iterations of k-means."""
    form: Form = "free"
    """Parametrization. `tied`: the encoder is the decoder times one trained factor. `archetypal`:
    each decoder row is a convex combination of the initial centroids, normalized to length one (Fel
    et al., 2502.12892, without their relaxation)."""
    weights_rate: float = 1.0
    """Learning rate of archetypal weights relative to that of the other parameters. Adam changes
    each of m weights by about its learning rate per step, and their sum is one."""
    initial_k: int = 0
    """Latents kept in the first step, annealed linearly to `k`. 0 is no annealing."""
    temperature: float = 0.0
    """Initial temperature T of a soft TopK, in standard deviations of a sample's pre-activations: a
    pre-activation p is multiplied by σ((p − cut) / T), with the cut halfway between the k-th and
    the next largest. 0 is TopK throughout."""
    final_temperature: float = 0.01
    """The temperature is annealed geometrically to this value; then TopK is used."""
    anneal_share: float = 0.5
    """Share of the steps over which k or the temperature is annealed."""
    cosine: bool = False
    """Cosine decay of the learning rate to zero (Loshchilov and Hutter, 1608.03983)."""
    term: Term = "none"
    """Additional loss term. `orthogonality`: the squared maximum cosine of each decoder row with
    another row of the dictionary, averaged over rows (Korznikov et al., 2509.22033, who use
    chunks). `l2`: the squared norm of each encoder row, averaged over rows (Jedryszek and Crook,
    2603.04198; rows of our decoders have length one, where that penalty is constant). `consistency`
    and `mfr` couple all seeds, see `coupling_terms`."""
    weight: float = 0.0
    """Weight of the term."""


@dataclass(frozen=True)
class FamilyConfig:
    """Settings of several training runs on the same activations."""

    names: tuple[str, ...]
    """Name of each run."""
    trainings: tuple[TrainingConfig | VariantConfig, ...]
    """Settings of each run."""
