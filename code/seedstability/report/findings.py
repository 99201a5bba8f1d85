"""Inputs and results of a comparison, from which its report is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.similarity.comparison import Comparison
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.dictionaries.loaded import LoadedDictionary, stated_rates
from seedstability.similarity.pairs import Statistics
from seedstability.similarity.recorder import Recorder
from seedstability.similarity.samples.reconstruction import ReconstructionMetrics
from seedstability.similarity.samples.sampled import Sampled
from seedstability.similarity.samples.tokens import Tokens


@dataclass(frozen=True)
class Findings:
    """Inputs and results of a comparison."""

    trained: Sequence[LoadedDictionary]
    """The dictionaries that were compared."""
    untrained: Sequence[LoadedDictionary] | None
    """The same dictionaries at initialization."""
    sampled: Sampled | None
    """Activations, and what was measured on them."""
    live: list[Bool[Tensor, " kept"]] | None
    """Mask of the live ones of the latents that were compared."""
    full_config: ComparisonConfig
    """Settings for 1,024 latents."""
    config: ComparisonConfig
    """Settings that were used."""
    comparison: Comparison
    """Result of `measures.measure`."""
    recorder: Recorder
    """Partners recorded during the measurement."""
    levels_without: Mapping[str, Statistics] | None
    """Chance levels without outliers, by level and statistic, where outliers matter."""
    groups: Sequence[int] | None = None
    """Group of each dictionary, 0 or 1, where two are compared."""
    steps: Sequence[int] | None = None
    """Step of each, where they are checkpoints of one run."""
    tokens: Tokens | None = None
    """Token of each activation."""

    @property
    def metrics(self) -> Sequence[ReconstructionMetrics] | None:
        """Reconstruction metrics; `None` without activations, and for decoders alone."""
        return self.sampled.metrics or None if self.sampled else None

    @property
    def firing(self) -> Sequence[Float[Tensor, " n"]] | None:
        """Firing rates: measured, or else as all checkpoints state them."""
        if self.metrics:
            return [each.firing for each in self.metrics]
        return stated_rates(self.trained)

    @property
    def best(self) -> Float[Tensor, "S S n"]:
        """Best signed cosine of each latent of s with any of t; NaN beyond a dictionary's last."""
        return self.comparison["best"]

    @property
    def sizes(self) -> list[int]:
        """Number of latents of each dictionary that were compared."""
        return [len(each.directed) for each in self.trained]
