"""What may differ from plain training besides `DictionaryConfig`, as plain settings. No torch here.

Each setting is off as it comes: then training is the plain one (`training.train_all`).
"""

from dataclasses import dataclass
from typing import Literal

from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig

Init = Literal["drawn", "data_points", "centroids"]
Form = Literal["free", "tied", "archetypal"]
Term = Literal["none", "orthogonality", "consistency", "mfr"]


@dataclass(frozen=True)
class VariantConfig:
    """Several seeds of one dictionary, trained otherwise than plainly in one or more respects."""

    dictionary: DictionaryConfig = TOPK
    """The dictionary and its training."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One SAE for each, in this order."""
    order_seed: int = 0
    """Draws the order of batches; with order `own` together with the SAE's seed."""
    samples: int | None = None
    """Train on the first so many samples; on all if left out."""
    init: Init = "drawn"
    """Decoder and encoder rows before the first step: as the dictionary's settings draw them;
    centered samples drawn without replacement; or centroids of samples found by k-means."""
    shared_init: bool = False
    """All seeds begin at the samples, or centroids, of the first seed; else each at its own."""
    clustered: int = 16_384
    """Samples, drawn by the seed, of which k-means finds the centroids; the first of them are where
    it starts."""
    rounds: int = 10
    """Rounds of k-means."""
    form: Form = "free"
    """`tied` keeps the encoder equal to the decoder times one learned number; `archetypal` keeps
    each decoder row on a convex combination of the centroids at which it begins (Fel et al.,
    2502.12892, without their relaxation), at length one."""
    weights_rate: float = 1.0
    """Learning rate of the weights of archetypal rows, as a share of all others'. Adam moves each
    of m weights by about its rate in a step, whatever the gradient; together they are one."""
    initial_k: int = 0
    """Latents kept in the first step; the number falls linearly to `k`. 0 keeps it at `k`."""
    temperature: float = 0.0
    """Temperature of TopK's selection in the first step, in standard deviations of a sample's
    pre-activations: a latent p is kept to a share σ((p − cut) / T), the cut halfway
    between the k-th and the next pre-activation. 0 selects as TopK does from the beginning."""
    final_temperature: float = 0.01
    """The temperature falls geometrically to this; then selection is TopK's own."""
    anneal_share: float = 0.5
    """Share of the steps over which k or the temperature falls."""
    cosine: bool = False
    """The learning rate falls to zero by half a cosine (Loshchilov and Hutter, 1608.03983)."""
    term: Term = "none"
    """What is added to the loss. `orthogonality`: the squared best cosine of each decoder row with
    another row of its own dictionary, averaged over rows (as Korznikov et al., 2509.22033, do in
    chunks). `consistency` and `mfr` draw all seeds together, see `regularisers`."""
    weight: float = 0.0
    """Weight of the term."""


@dataclass(frozen=True)
class FamilyConfig:
    """Several trainings on the same activations, done one after the other."""

    names: tuple[str, ...]
    """What each is called."""
    trainings: tuple[TrainingConfig | VariantConfig, ...]
    """As many."""
