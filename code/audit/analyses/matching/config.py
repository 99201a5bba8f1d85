"""What the stages of this room are told; loads nothing heavy."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["random", "hubs", "shared"]
"""What a planted pair of dictionaries has in common; see `planted`."""


@dataclass(frozen=True)
class SolverConfig:
    """One pair of dictionaries to be matched."""

    kind: Kind
    """What the two have in common."""
    n_latents: int
    """Latents of each; SciPy holds the square of it in double precision."""
    width: int
    """Width of the activations."""
    seed: int
    """Seed of the draw."""
