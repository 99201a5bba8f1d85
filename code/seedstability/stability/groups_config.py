"""How latents are told apart by how often they come back. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GroupsConfig:
    """Stable and unstable latents, or quarters where there are no such camps."""

    threshold: float = 0.7
    """Cosine from which a latent counts as found in another seed."""
    fewest: int = 16
    """Latents that each camp must have in every seed. Where one has fewer, the quarters of live
    latents with the highest and the lowest mean best cosine stand for the two."""


CAMPS = GroupsConfig()
"""As in the definitions."""
