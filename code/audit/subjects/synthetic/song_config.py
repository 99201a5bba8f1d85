"""The samples of Song et al. (2025, 2505.20254), as plain settings. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SongSamplesConfig:
    """X = S A: sparse sums of directions, as generate_data.py of their public repository draws them
    (xiangchensong/sae-feature-consistency, folder synthetic)."""

    d: int = 16
    """Coordinates of a sample."""
    directions: int = 32
    """Rows of A, normal numbers brought to length one."""
    active: int = 3
    """Directions in each sample, drawn without putting back; coefficients are |N(0, 1)|."""
    samples: int = 50_000
    """Samples to train on. Fewer are the first of theirs."""
    heldout: int = 4_096
    """Samples held out; they follow the last of `samples` in the same stream."""
    seed: int = 42
    """NumPy's legacy generator starts from it, as theirs does, so these are their very samples."""
