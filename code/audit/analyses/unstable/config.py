"""Settings of the comparison of stable and unstable latents across seeds."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.stability.config import CAMPS, GroupsConfig


@dataclass(frozen=True)
class CampsConfig:
    """Best cosine of each live latent in each other seed, with chance levels."""

    thresholds: tuple[float, ...] = (0.5, 0.7, 0.9)
    """Cosines from which a latent counts as recurring."""
    draws: int = 5
    """Pairs of dictionaries drawn with the data's covariance."""
    seed: int = 0
    """Seed of the chance levels."""


THRESHOLDS = CampsConfig()
"""Thresholds of the definitions."""


@dataclass(frozen=True)
class SpansConfig:
    """Overlap of the spans of two seeds' unstable latents."""

    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    share: float = 0.9
    """The main dimension holds this share of the squared length of a seed's unstable latents, in
    the median over seeds, but is at most the size of the smallest group."""
    dimensions: tuple[int, ...] = (4, 8, 16, 32, 64)
    """Further dimensions, as far as all groups have that many latents."""
    center: bool = True
    """Whether the data's principal components are taken about the mean. Without a decoder bias a
    dictionary has to encode the mean itself; components are then taken about zero, which is
    stricter."""
    seed: int = 0
    """Seed of the chance levels."""


@dataclass(frozen=True)
class ClustersConfig:
    """Overlap of the spans of clusters of unstable latents in different seeds."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    parts: int = 5
    """Disjoint groups of seeds, each clustered separately: the fewest that give an interval."""
    size: int = 12
    """Mean number of latents in a cluster."""
    fewest: int = 6
    """Minimum number of latents in a cluster."""
    fewest_seeds: int = 3
    """Minimum number of seeds in a cluster, or all of the group if it has fewer."""
    contexts: int = 100
    """Held-out contexts on which co-activation is measured."""
    draws: int = 5
    """Draws of each chance level for each pair of groups."""
    seed: int = 0
    """Seed of the groups of seeds, contexts and chance levels."""
