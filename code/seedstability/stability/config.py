"""Settings that divide latents into stable and unstable ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GroupsConfig:
    """Stable and unstable latents, or quarters if a camp is too small."""

    threshold: float = 0.7
    """Cosine from which a latent recurs in another seed."""
    fewest: int = 16
    """Minimum number of latents of each camp in every seed. With fewer, the groups are the quarters
    of live latents with the highest and the lowest mean best cosine."""


CAMPS = GroupsConfig()
"""Settings of definitions.md."""
