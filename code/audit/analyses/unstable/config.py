"""How groups of latents that come back, and that do not, are compared. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.stability.groups_config import CAMPS, GroupsConfig


@dataclass(frozen=True)
class CampsConfig:
    """With what cosine each live latent comes back in each other seed, beside chance."""

    thresholds: tuple[float, ...] = (0.5, 0.7, 0.9)
    """Cosines from which a latent counts as found."""
    draws: int = 5
    """Pairs of dictionaries drawn with the data's covariance."""
    seed: int = 0
    """Draws chance."""


THRESHOLDS = CampsConfig()
"""Those of the definitions."""


@dataclass(frozen=True)
class SpansConfig:
    """Whether the unstable latents of two seeds span the same space."""

    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    share: float = 0.9
    """The main number of dimensions is that which holds so much of a seed's unstable latents, in
    the median over seeds, or the size of the smallest group where that is less."""
    dimensions: tuple[int, ...] = (4, 8, 16, 32, 64)
    """Others, as far as all groups have so many latents."""
    centre: bool = True
    """Take the data's principal components about their mean. A dictionary without a decoder bias
    has to carry the mean itself; there they are taken about zero, which is stricter."""
    seed: int = 0
    """Draws chance."""


@dataclass(frozen=True)
class ClustersConfig:
    """Whether clusters of unstable latents have the same span in other seeds."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    parts: int = 5
    """Disjoint groups of seeds, each clustered by itself: as few as still give an interval."""
    size: int = 12
    """Latents in a cluster, on average."""
    fewest: int = 6
    """Latents that a cluster must have."""
    fewest_seeds: int = 3
    """Seeds that a cluster's latents must come from, or all of the group if it has fewer."""
    contexts: int = 100
    """Held-out contexts on which co-activation is taken."""
    draws: int = 5
    """Draws of each chance level for each pair of groups."""
    seed: int = 0
    """Draws seeds into groups, contexts and chance."""
