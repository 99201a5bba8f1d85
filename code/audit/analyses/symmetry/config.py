"""Settings of the comparison of dictionaries up to translations of their inputs."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class SymmetryConfig:
    """Search for partners over all shifts, with nulls."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    p: int = 113
    """The modulus: inputs are all pairs (a, b) of 0 … p − 1."""
    queries: int = 32
    """Latents of the first dictionary of a pair whose partners are searched, drawn at random."""
    fewest_firings: int = 113
    """Minimum number of pairs (a, b) on which a drawn latent fires: a map of a few points matches
    any other such map after a shift. Every live latent may be a partner."""
    candidates: int = 16
    """Latents of the second dictionary evaluated at all shifts: those with the largest bounds."""
    multipliers: int = 64
    """Pairs of a multiplier and a latent of the second dictionary that are evaluated."""
    common_shifts: int = 4
    """Shifts of a whole dictionary that are evaluated in addition to the identity."""
    example_side: int = 57
    """Rows and columns kept of the example's maps."""
    seed: int = 0
    """Seed of queries, scrambles, phases and planted shifts."""


@dataclass(frozen=True)
class InvarianceConfig:
    """Invariance of the activations' kernel under translations."""

    p: int = 113
    """The modulus."""
    draws: int = 5
    """Random relabelings for each chance level."""
    seed: int = 0
    """Seed of the relabelings."""
