"""Settings of control dictionaries."""

from dataclasses import dataclass, replace
from typing import Literal

from seedstability.dictionaries.config import TOPK, DictionaryConfig


@dataclass(frozen=True)
class ControlConfig:
    """Dictionaries that no SAE training made, in the layout of trained ones."""

    kind: Literal["data_points", "kmeans", "ica", "random_decoder"] = "data_points"
    """Centered samples, k-means centroids, independent components, or directions on the sphere."""
    n_latents: int = 1024
    """Rows wanted; `ica` gives both signs of each component and at most twice the data's rank."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One dictionary for each."""
    k: int = 32
    """Latents kept for each sample when the dictionary is used to reconstruct."""

    @property
    def dictionary(self) -> DictionaryConfig:
        """How to encode with such a dictionary: its rows as encoder, the k largest kept."""
        return replace(TOPK, n_latents=self.n_latents, k=self.k)
