"""Trainer of several seeds on a CPU, one thread per seed.

One product for all seeds would be slower on a CPU: an SAE that is trained alone for many steps
stays in the cache. A seed's bits do not depend on the other seeds.
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
from seedstability.dictionaries.training.resampling import NewRows
from seedstability.dictionaries.training.sae_trainer import SAETrainer
from seedstability.dictionaries.training.sparse_gradients import DenseGradients


class ThreadedTrainer:
    """Trainer of S SAEs; a context manager that ends its threads."""

    shares_batches = False
    """Each thread reads its own feed."""

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
        """Take over the tensors of `initial_saes`.

        Args:
            initial_saes: one per seed, float32 on the CPU.
            config: the settings of all seeds.
            total_steps: number of steps of the run, for the schedules.
            names: each seed's name in error messages.
            frozen_decoder: do not train the decoders.
            cores: number of seeds trained at the same time.
            select: selects the k largest pre-activations.
        """
        self.config = config
        self.trainers = [
            SAETrainer(
                initial, name, total_steps=total_steps, frozen_decoder=frozen_decoder, select=select
            )
            for initial, name in zip(initial_saes, names, strict=True)
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
        """Train each SAE for `steps` steps on batches of its own feed.

        Returns:
            Each SAE's loss, averaged over these steps.

        Raises:
            UserError: a loss is not finite or has diverged; names seed and step.
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
        """Train all SAEs in lockstep, with further gradients.

        Args:
            feeds: one per seed.
            steps: number of steps.
            dense_gradients: called before each step; returns the gradients of further loss terms.

        Raises:
            UserError: a loss is not finite or has diverged; names seed and step.
        """
        for _ in range(steps):
            more = dense_gradients(self.trainers) or repeat(None)
            batches = [next(feed) for feed in feeds]
            for _ in self._pool.map(SAETrainer.step, self.trainers, batches, more):
                pass

    def end_epoch(self) -> Int64[np.ndarray, "S n"]:
        """Reset the firing counts; returns those of the epoch.

        Raises:
            UserError: no latent of an SAE fired.
        """
        firings = np.stack([trainer.firings for trainer in self.trainers])
        for trainer in self.trainers:
            refuse_dead(trainer.firings, self.config, trainer.name, trainer.steps)
            trainer.reset_firings()
        return firings

    @property
    def since_fired(self) -> Int64[np.ndarray, "S n"]:
        """Number of samples since each latent last fired."""
        return np.stack([trainer.since_fired for trainer in self.trainers])

    def replace_latents(self, which: int, new: NewRows) -> None:
        """Replace rows of latents of one SAE."""
        self.trainers[which].replace_latents(*new)

    def saes(self) -> list[SAE]:
        """The current SAEs. Their tensors belong to the trainers and will change."""
        return [trainer.sae for trainer in self.trainers]

    def state(self) -> dict[str, np.ndarray]:
        """Copy the state that the next steps depend on."""
        return {
            f"{which}/{name}": array
            for which, trainer in enumerate(self.trainers)
            for name, array in trainer.state().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state of the same settings and number of seeds."""
        for which, trainer in enumerate(self.trainers):
            mine = f"{which}/"
            trainer.load(
                {name.removeprefix(mine): a for name, a in state.items() if name.startswith(mine)}
            )


def _prepare() -> None:
    # Both are settings of a thread. Seeds share the cores, products do not. Denormal numbers, which
    # dead latents produce, are very slow unless they are flushed to zero.
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
