"""Settings of pooling and of fine-tuning."""

from dataclasses import dataclass
from typing import Literal

from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig


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
