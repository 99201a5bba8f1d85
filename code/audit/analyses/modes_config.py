"""How it is tested whether matched cosines have two modes. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModesConfig:
    """The rule was fixed before any result: two modes where the dip exceeds that of a flat mode."""

    power: float = 0.8
    """With which the smallest separation to be seen is found."""
    draws: int = 100
    """Samples at each separation."""
    seed: int = 0
    """Draws them."""
