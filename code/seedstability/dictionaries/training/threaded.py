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
from seedstability.dictionaries.training.gradients import Pull
from seedstability.dictionaries.training.resampling import NewRows
from seedstability.dictionaries.training.sae_trainer import Trainee


class SideBySide:
    """S dictionaries on their way; a context that ends its threads."""

    def __init__(
        self,
        starts: Sequence[SAE],
        config: DictionaryConfig,
        total_steps: int,
        *,
        names: Sequence[str],
        frozen_decoder: bool = False,
        cores: int = 1,
        select: sparse_latents.Select = sparse_latents.topk,
    ):
        """Begin at `starts`, whose tensors become the trainees' own; `names` is for errors."""
        self.config = config
        self.trainees = [
            Trainee(
                start, name, total_steps=total_steps, frozen_decoder=frozen_decoder, select=select
            )
            for start, name in zip(starts, names, strict=True)
        ]
        self._stopped = threading.Event()
        self._threads_before = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(max(1, min(cores, len(starts))), initializer=_prepare)

    def __enter__(self) -> "SideBySide":
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

        def run(trainee: Trainee, feed: Iterator[Tensor]) -> float:
            losses = [trainee.step(next(feed)) for _ in range(steps) if not self._stopped.is_set()]
            return sum(losses) / max(1, len(losses))

        return list(self._pool.map(run, self.trainees, feeds))

    def advance_together(
        self,
        feeds: Sequence[Iterator[Float[Tensor, "b d"]]],
        steps: int,
        pulls: Callable[[Sequence[Trainee]], Sequence[Pull] | None],
    ) -> None:
        """The same, step by step: before each, `pulls` says what moves every one besides its batch.

        Raises:
            UserError: when a loss is not finite or diverges, naming seed and step.
        """
        for _ in range(steps):
            more = pulls(self.trainees) or repeat(None)
            batches = [next(feed) for feed in feeds]
            for _ in self._pool.map(Trainee.step, self.trainees, batches, more):
                pass

    def end_epoch(self) -> Int64[np.ndarray, "S n"]:
        """Start counting firings anew; returns those of the epoch that ends.

        Raises:
            UserError: when no latent of a dictionary fired in it.
        """
        firings = np.stack([trainee.firings for trainee in self.trainees])
        for trainee in self.trainees:
            refuse_dead(trainee.firings, self.config, trainee.name, trainee.steps)
            trainee.start_counting()
        return firings

    @property
    def since_fired(self) -> Int64[np.ndarray, "S n"]:
        """Samples since each latent last fired."""
        return np.stack([trainee.since_fired for trainee in self.trainees])

    def replace_latents(self, which: int, new: NewRows) -> None:
        """Give some latents of one dictionary new rows."""
        self.trainees[which].replace_latents(*new)

    def saes(self) -> list[SAE]:
        """Each dictionary as it is now; its tensors are the trainee's own and will change."""
        return [trainee.sae for trainee in self.trainees]

    def state(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on, as copies."""
        return {
            f"{which}/{name}": array
            for which, trainee in enumerate(self.trainees)
            for name, array in trainee.state().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state of as many seeds with these settings."""
        for which, trainee in enumerate(self.trainees):
            mine = f"{which}/"
            trainee.load(
                {name.removeprefix(mine): a for name, a in state.items() if name.startswith(mine)}
            )


def _prepare() -> None:
    # Both are settings of a thread. Seeds, not products, share the cores; and numbers below 1e-38,
    # which dead latents leave behind, are very slow unless they count as zero.
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
