"""How dictionaries are compared up to a translation of their inputs. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class SymmetryConfig:
    """A search for partners over all shifts, and its nulls."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    p: int = 113
    """The modulus: inputs are all pairs (a, b) of 0 … p − 1."""
    queries: int = 32
    """Latents of the first dictionary of a pair whose partners are looked for, drawn at random."""
    fewest_firings: int = 113
    """Pairs (a, b) on which a latent must fire to be drawn: a map of a few points lies on any other
    such map after a shift. Every live latent may be a partner."""
    candidates: int = 16
    """Latents of the second dictionary, those with the largest bounds, that are looked at over all
    shifts."""
    units: int = 64
    """Pairs of a multiplication and such a latent that are looked at."""
    common_shifts: int = 4
    """Shifts of a whole dictionary that are looked at beside the identity."""
    example_side: int = 57
    """Rows and columns that are kept of the example's maps."""
    seed: int = 0
    """Draws queries, scrambles, phases and planted shifts."""


@dataclass(frozen=True)
class InvarianceConfig:
    """How far activations carry the symmetry at all."""

    p: int = 113
    """The modulus."""
    draws: int = 5
    """Relabellings behind each chance level."""
    seed: int = 0
    """Draws them."""
