"""How one dictionary is made of several seeds', as plain settings. No torch here."""

from dataclasses import dataclass
from typing import Literal

from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig


@dataclass(frozen=True)
class PoolingConfig:
    """Groups of seeds, one pooled dictionary for each."""

    dictionary: DictionaryConfig = TOPK
    """How the dictionaries encode; the pooled ones have as many latents, or fewer."""
    group_size: int = 4
    """Seeds of a group: the first so many, the next so many, and so on; a rest is left out."""
    choose: Literal["votes", "average", "drawn"] = "votes"
    """`votes` clusters the latents of all seeds of a group and keeps the clusters in which most
    seeds have one; `average` matches every seed one to one with the group's first and takes the
    mean of partners; `drawn` takes latents of any seed at random, as the control that knows
    nothing of who agrees."""
    cosine: float = 0.7
    """Mean cosine between two clusters' latents down to which they are joined."""
    refit: bool = True
    """Fit the decoder to the codes by least squares afterwards."""
    ridge: float = 1e-6
    """Added to the codes' second moments for that, as a share of their mean."""
    seed: int = 0
    """Draws what is `drawn`."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Training that begins at dictionaries that are there already."""

    training: TrainingConfig
    """As for a training from the start; one of `seeds` for each dictionary, in their order. What
    the seeds would draw as a start is not read."""
