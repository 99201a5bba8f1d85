"""Settings of the synthetic samples: the planted truth, and those of Song et al."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlantedConfig:
    """Samples that are sums of planted groups: single directions, and blocks of several dimensions.

    A sample is the sum, over the groups active in it, of a magnitude times a direction of the
    group, plus noise. Groups are active independently. The magnitude is |N(1, 0.25²)|.
    """

    d: int = 64
    """Dimension of a sample."""
    singles: int = 48
    """Groups of one direction each, uniform on the sphere; their coefficients are positive."""
    blocks: int = 8
    """Groups that span a random subspace each. The direction of an active block is uniform on the
    unit sphere of its subspace, with both signs."""
    rank: int = 4
    """Dimensions of each block."""
    frequencies: tuple[float, float] = (0.003, 0.1)
    """Lowest and highest share of samples in which a group is active. Singles are spaced evenly
    between the two in the logarithm, and so are blocks. The seed draws the order within each kind;
    a kind with only one group has the lowest frequency."""
    noise: float = 0.05
    """Root mean square length of the noise of a sample: each coordinate is N(0, noise² / d). An
    active group adds a vector of length about one."""
    samples: int = 32768
    """Training samples."""
    heldout: int = 4096
    """Held-out samples of the same truth."""
    seed: int = 0
    """Seed of the truth and, with separate generators, of both sets of samples."""


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
