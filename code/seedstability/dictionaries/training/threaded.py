"""Training of several seeds on a CPU: each in a thread of its own, as many at once as cores.

One wide product for all seeds would be slower here: a dictionary that is trained for a while by
itself stays in the cache. A seed computes the same bits whoever trains beside it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.training.failures import refuse_dead
from seedstability.dictionaries.training.gradients import DenseGradients
from seedstability.dictionaries.training.resampling import NewRows
from seedstability.dictionaries.training.sae_trainer import SAETrainer


class ThreadedTrainer:
    """S dictionaries on their way; a context that ends its threads."""

    def __init__(
        self,
        initial_saes: Sequence[SAE],
        config: DictionaryConfig,
        total_steps: int,
        *,
        names: Sequence[str],
        frozen_decoder: bool = False,
        cores: int = 1,
        select: sparse_latents.TopKSelector = sparse_latents.topk,
    ):
        """Begin at `initial_saes`, whose tensors become the trainers' own; `names` is for errors."""
        self.config = config
        self.trainers = [
            SAETrainer(
                start, name, total_steps=total_steps, frozen_decoder=frozen_decoder, select=select
            )
            for start, name in zip(initial_saes, names, strict=True)
        ]
        self._stopped = threading.Event()
        self._threads_before = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(max(1, min(cores, len(initial_saes))), initializer=_prepare)

    def __enter__(self) -> "ThreadedTrainer":
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads_before)

    def advance(self, feeds: Sequence[Iterator[Float[Tensor, "b d"]]], steps: int) -> list[float]:
        """Move each dictionary by `steps` batches of its own feed.

        Returns:
            For each the loss averaged over these steps.

        Raises:
            UserError: when a loss is not finite or diverges, naming seed and step.
        """

        def run(trainer: SAETrainer, feed: Iterator[Tensor]) -> float:
            losses = [trainer.step(next(feed)) for _ in range(steps) if not self._stopped.is_set()]
            return sum(losses) / max(1, len(losses))

        return list(self._pool.map(run, self.trainers, feeds))

    def advance_together(
        self,
        feeds: Sequence[Iterator[Float[Tensor, "b d"]]],
        steps: int,
        dense_gradients: Callable[[Sequence[SAETrainer]], Sequence[DenseGradients] | None],
    ) -> None:
        """The same, step by step: before each, `dense_gradients` says what moves every one besides its batch.

        Raises:
            UserError: when a loss is not finite or diverges, naming seed and step.
        """
        for _ in range(steps):
            more = dense_gradients(self.trainers) or repeat(None)
            batches = [next(feed) for feed in feeds]
            for _ in self._pool.map(SAETrainer.step, self.trainers, batches, more):
                pass

    def end_epoch(self) -> Int64[np.ndarray, "S n"]:
        """Start counting firings anew; returns those of the epoch that ends.

        Raises:
            UserError: when no latent of a dictionary fired in it.
        """
        firings = np.stack([trainer.firings for trainer in self.trainers])
        for trainer in self.trainers:
            refuse_dead(trainer.firings, self.config, trainer.name, trainer.steps)
            trainer.reset_firings()
        return firings

    @property
    def since_fired(self) -> Int64[np.ndarray, "S n"]:
        """Samples since each latent last fired."""
        return np.stack([trainer.since_fired for trainer in self.trainers])

    def replace_latents(self, which: int, new: NewRows) -> None:
        """Give some latents of one dictionary new rows."""
        self.trainers[which].replace_latents(*new)

    def saes(self) -> list[SAE]:
        """Each dictionary as it is now; its tensors are the trainer's own and will change."""
        return [trainer.sae for trainer in self.trainers]

    def state(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on, as copies."""
        return {
            f"{which}/{name}": array
            for which, trainer in enumerate(self.trainers)
            for name, array in trainer.state().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state of as many seeds with these settings."""
        for which, trainer in enumerate(self.trainers):
            mine = f"{which}/"
            trainer.load(
                {name.removeprefix(mine): a for name, a in state.items() if name.startswith(mine)}
            )


def _prepare() -> None:
    # Both are settings of a thread. Seeds, not products, share the cores; and numbers below 1e-38,
    # which dead latents leave behind, are very slow unless they count as zero.
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
