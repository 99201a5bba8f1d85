"""Settings of the comparison of assignment solvers."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["random", "hubs", "shared"]
"""Kind of a planted pair of dictionaries; see `planted_pairs`."""


@dataclass(frozen=True)
class SolverConfig:
    """One pair of dictionaries to match."""

    kind: Kind
    """How the two are related."""
    n_latents: int
    """Latents of each; SciPy needs a square matrix of this size in double precision."""
    width: int
    """Width of the activations."""
    seed: int
    """Seed of the pair."""
