"""What the training loop and the checkpoint ask of a trainer."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.training.resampling import NewRows


class Trainer(Protocol):
    """A trainer of S SAEs: `ThreadedTrainer`, `BatchedTrainer`, or your own."""

    shares_batches: bool
    """Whether one feed serves all seeds where they have the same order of batches."""

    @property
    def since_fired(self) -> Int[np.ndarray, "S n"] | Int[Tensor, "S n"]:
        """Number of samples since each latent last fired."""
        ...

    def advance(self, feeds: Sequence[Iterator[Float[Tensor, "b d"]]], steps: int) -> list[float]:
        """Train for `steps` steps; returns each seed's loss, averaged over them."""
        ...

    def end_epoch(self) -> Int[np.ndarray, "S n"] | Int[Tensor, "S n"]:
        """Reset the firing counts; returns those of the epoch."""
        ...

    def replace_latents(self, which: int, new: NewRows) -> None:
        """Replace rows of latents of one SAE."""
        ...

    def saes(self) -> list[SAE]:
        """The current SAEs, on the CPU."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Copy the state that the next steps depend on."""
        ...

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state of the same settings and number of seeds."""
        ...
