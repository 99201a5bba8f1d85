"""What the planted truth is made of, as plain settings. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlantedConfig:
    """Samples that are sums of known units: single directions, and blocks of several dimensions.

    A sample is the sum, over the units active in it, of a magnitude times a direction of the unit,
    plus noise. Units are active independently. The magnitude is |N(1, 0.25²)|.
    """

    d: int = 64
    """Coordinates of a sample."""
    singles: int = 48
    """Units that are one direction each, drawn from the sphere; their coefficients are positive."""
    blocks: int = 8
    """Units that are a subspace each, drawn from all of its dimension; an active block points
    anywhere on the unit sphere of its subspace, with both signs."""
    rank: int = 4
    """Dimensions of each block."""
    frequencies: tuple[float, float] = (0.003, 0.1)
    """Lowest and highest share of samples in which a unit is active. Singles are spaced evenly
    between the two in the logarithm, and so are blocks, each kind in an order of its own that
    the seed draws; a kind of only one unit has the lowest."""
    noise: float = 0.05
    """Root mean square length of the noise of a sample: each coordinate is N(0, noise² / d). An
    active unit adds a vector of length about one."""
    samples: int = 32768
    """Samples to train on."""
    heldout: int = 4096
    """Samples held out, of the same truth."""
    seed: int = 0
    """Draws the truth and, from generators of their own, both sets of samples."""
