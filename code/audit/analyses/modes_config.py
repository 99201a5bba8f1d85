"""Settings of the test for bimodality of matched cosines."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModesConfig:
    """Power analysis of the dip test.

    The rule was fixed before any result: two modes if the dip exceeds that of a flat mode.
    """

    power: float = 0.8
    """Power at the minimum detectable separation."""
    draws: int = 100
    """Samples at each separation."""
    seed: int = 0
    """Seed of the samples."""
