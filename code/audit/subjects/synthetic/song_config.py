"""Settings of the synthetic samples of Song et al. (2025, 2505.20254)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SongSamplesConfig:
    """X = S A: sparse sums of directions, as generate_data.py of their public repository draws them
    (xiangchensong/sae-feature-consistency, folder synthetic)."""

    d: int = 16
    """Dimension of a sample."""
    directions: int = 32
    """Rows of A, normal vectors scaled to length one."""
    active: int = 3
    """Directions in each sample, drawn without replacement; coefficients are |N(0, 1)|."""
    samples: int = 50_000
    """Training samples; a smaller number takes the first of theirs."""
    heldout: int = 4_096
    """Held-out samples; they follow the last of `samples` in the same stream."""
    seed: int = 42
    """Seed of NumPy's legacy generator, the same as in their code, so samples are identical."""
