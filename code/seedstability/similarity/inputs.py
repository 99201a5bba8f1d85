"""Inputs of a comparison: dictionaries, live latents, moments of activations, initializations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.similarity.pairs import Weights
from seedstability.stability.chance.null_models import GaugeBasis
from seedstability.stability.subspaces.principal import PrincipalBasis


class Moments(NamedTuple):
    """Moments of the activations that the dictionaries were trained on."""

    components: PrincipalBasis
    """Principal components of the activations."""
    covariance: Float[Tensor, "d d"]
    """Covariance, single precision."""
    samples: int
    """Number of samples."""

    @property
    def gauge(self) -> GaugeBasis:
        """Components for gauge scrambles."""
        return GaugeBasis.from_basis(self.components, self.samples)


@dataclass(frozen=True)
class ComparisonInputs:
    """Dictionaries to compare, with optional live masks, moments and initial decoders."""

    dictionaries: Sequence[Weights]
    """At least two, all of one width."""
    live: Sequence[Bool[Tensor, " n"]] | None = None
    """Mask of live latents of each dictionary."""
    moments: Moments | None = None
    """Moments of the activations."""
    initial: Sequence[Float[Tensor, "n d"]] | None = None
    """Decoders at initialization."""

    @property
    def sizes(self) -> list[int]:
        """Number of latents of each dictionary."""
        return [len(each.decoder) for each in self.dictionaries]

    @property
    def width(self) -> int:
        """Width of all dictionaries."""
        return self.dictionaries[0].decoder.shape[1]
