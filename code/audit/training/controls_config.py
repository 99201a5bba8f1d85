"""Settings of control dictionaries."""

from dataclasses import dataclass, replace
from typing import Literal

from seedstability.dictionaries.config import TOPK, DictionaryConfig


@dataclass(frozen=True)
class ControlConfig:
    """Settings of control dictionaries, made without training an SAE."""

    kind: Literal["data_points", "kmeans", "ica", "random_decoder"] = "data_points"
    """Centered samples, k-means centroids, independent components, or directions on the sphere."""
    n_latents: int = 1024
    """Number of latents. `ica` gives both signs of each component, at most twice the data's
    rank."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One dictionary per seed."""
    k: int = 32
    """Active latents per sample in reconstructions."""

    @property
    def dictionary(self) -> DictionaryConfig:
        """Settings of the TopK SAE that encodes with the dictionary's rows."""
        return replace(TOPK, n_latents=self.n_latents, k=self.k)
