"""Settings of controls, of pooling and fine-tuning, and of the replica of Song et al."""

from dataclasses import dataclass, replace
from typing import Literal

from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig


@dataclass(frozen=True)
class ControlConfig:
    """Settings of control dictionaries, made without training an SAE."""

    kind: Literal["data_points", "kmeans", "ica", "random_decoder"] = "data_points"
    """Centered samples, k-means centroids, independent components, or directions on the sphere."""
    n_latents: int = 1024
    """Number of latents. `ica` gives both signs of each component, at most twice the data's
    rank."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One dictionary per seed."""
    k: int = 32
    """Active latents per sample in reconstructions."""

    @property
    def dictionary(self) -> DictionaryConfig:
        """Settings of the TopK SAE that encodes with the dictionary's rows."""
        return replace(TOPK, n_latents=self.n_latents, k=self.k)


@dataclass(frozen=True)
class PoolingConfig:
    """Settings of pooling: one pooled dictionary per group of seeds."""

    dictionary: DictionaryConfig = TOPK
    """Settings of the dictionaries. Pooled ones have as many latents, or fewer."""
    group_size: int = 4
    """Number of seeds per group; groups are consecutive, and a remainder is left out."""
    choose: Literal["votes", "average", "drawn"] = "votes"
    """Selection of latents. `votes` clusters the latents of all seeds of a group and keeps the
    clusters with latents of most seeds; `average` matches every seed one to one with the group's
    first and averages partners; `drawn` draws latents of any seed at random, as a control."""
    cosine: float = 0.7
    """Mean cosine down to which clusters are merged."""
    refit: bool = True
    """Refit the decoder to the latents by least squares."""
    ridge: float = 1e-6
    """Ridge penalty of that fit, relative to the mean second moment of the latents."""
    seed: int = 0
    """Seed of the selection `drawn`."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of fine-tuning given dictionaries."""

    training: TrainingConfig
    """Settings of training, with one of `seeds` per dictionary, in order. Initial SAEs are the
    given dictionaries."""


@dataclass(frozen=True)
class SongConfig:
    """Settings of several seeds of one dictionary, with full-batch steps.

    From models.py and the two notebooks of the public repository
    xiangchensong/sae-feature-consistency, folder synthetic. The loss is the squared error averaged
    over all entries plus `l1` times the latents summed over a sample and averaged over samples. The
    decoder bias is subtracted before the encoder; decoder rows are not normalized.
    """

    architecture: Literal["relu", "topk"] = "relu"
    """All positive pre-activations, or the k largest of them. Initializations differ too: see
    `row_length`; encoder biases are uniform in ±1/√d with `relu` and zero with `topk`."""
    n_latents: int = 32
    """Number of latents."""
    k: int = 3
    """Latents kept with `topk`, which keeps the L1 term."""
    l1: float = 1e-2
    """Weight of the L1 penalty, also with `topk`."""
    learning_rate: float = 1e-4
    """Learning rate of Adam, with betas 0.9 and 0.999 and epsilon 1e-8."""
    steps: int = 30_000
    """Number of steps, each on all samples."""
    row_length: float | None = None
    """Length of the initial decoder rows; the initial encoder is a copy. By default as in their
    code, 0.1 with `relu` and 1 with `topk`."""
    seeds: tuple[int, ...] = (42, 43, 44, 45, 46)
    """One dictionary per seed; the default seeds are theirs."""
    trace_steps: tuple[int, ...] = ()
    """Steps after which decoders are recorded; 0 is before the first."""

    @property
    def initial_row_length(self) -> float:
        """Length of the initial decoder rows."""
        if self.row_length is not None:
            return self.row_length
        return 0.1 if self.architecture == "relu" else 1.0
