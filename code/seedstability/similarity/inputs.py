"""What a comparison is asked: dictionaries, and what else is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.similarity.pairs import Weights
from seedstability.stability.chance.null_models import GaugeBasis
from seedstability.stability.subspaces.principal import PrincipalBasis


class Moments(NamedTuple):
    """What is known of the activations that the dictionaries were trained on."""

    components: PrincipalBasis
    """Principal components."""
    covariance: Float[Tensor, "d d"]
    """Single precision."""
    samples: int
    """How many the moments were taken of."""

    @property
    def gauge(self) -> GaugeBasis:
        """The components as they are scrambled."""
        return GaugeBasis.from_basis(self.components, self.samples)


@dataclass(frozen=True)
class ComparisonInputs:
    """Dictionaries to be compared, and what else is known of them."""

    dictionaries: Sequence[Weights]
    """At least two, all of one shape."""
    live: Sequence[Bool[Tensor, "n"]] | None = None
    """Latents of each that fire at least once."""
    moments: Moments | None = None
    """Of the activations."""
    initial: Sequence[Float[Tensor, "n d"]] | None = None
    """Decoders before the first step."""

    @property
    def shape(self) -> tuple[int, int]:
        """Latents and width of each."""
        n, d = self.dictionaries[0].decoder.shape
        return n, d
