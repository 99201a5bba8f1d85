"""Loss recovered: a model's loss when reconstructions replace its activations.

`loss_recovered` = (CE_ablated − CE_sae) / (CE_ablated − CE_clean), CE the mean next-token
cross-entropy in nats. There are two ablations of the activations: by zero, and by their mean.
"""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from audit.evaluation.config import RecoveryConfig
from audit.evaluation.intervention import DownstreamModel
from audit.subjects.language_model.checkpoint import open_model
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.progress import report

_CONTEXTS = 16


class LossRecovered(TypedDict):
    """A model's losses in nats, and the share that each of S dictionaries recovers."""

    clean: float
    """Without intervention."""
    zero: float
    """With the activations ablated by zero."""
    mean: float
    """With the activations ablated by their mean."""
    loss: Float[np.ndarray, " S"]
    """Through each dictionary."""
    recovered_zero: Float[np.ndarray, " S"]
    recovered_mean: Float[np.ndarray, " S"]


class NextTokenLoss:
    """Next-token loss of a model on held-out contexts after a change at a hook point."""

    def __init__(self, downstream: DownstreamModel, tokens: Int[Tensor, "c length"]):
        self.downstream, self.tokens = downstream, tokens
        self.entering, self.last = downstream.clean_residuals(tokens)

    def clean(self) -> float:
        """Compute the loss without intervention."""
        return self._mean([self._losses(self.last, self.tokens)])

    def with_change(self, change: Float[Tensor, "c positions d"]) -> float:
        """Compute the loss with `change` added at the hook, at every position except the first.

        The first position is the separator, on which dictionaries were not trained.
        """
        change = nn.functional.pad(change, (0, 0, 1, 0))
        found = []
        for at in range(0, len(self.tokens), _CONTEXTS):
            batch = slice(at, at + _CONTEXTS)
            last = self.downstream.final_residual(self.entering[batch], change[batch])
            found.append(self._losses(last, self.tokens[batch]))
        return self._mean(found)

    def _losses(
        self, last: Float[Tensor, "c length d"], tokens: Int[Tensor, "c length"]
    ) -> Float[Tensor, " m"]:
        """Compute the loss of each token that follows a changed position, in nats."""
        flat, wanted = last[:, 1:-1].flatten(0, 1), tokens[:, 2:].flatten()
        parts = zip(flat.split(1024), wanted.split(1024), strict=True)
        return torch.cat(
            [
                -self.downstream.log_probabilities(part).gather(1, next_token[:, None])[:, 0]
                for part, next_token in parts
            ]
        )

    @staticmethod
    def _mean(losses: list[Tensor]) -> float:
        return float(torch.cat(losses).numpy().mean())


def loss_recovered(
    config: RecoveryConfig,
    dictionaries: Dictionaries,
    activations: Mapping[str, np.ndarray],
) -> LossRecovered:
    """Compute the model's loss through each dictionary, and the loss recovered.

    Args:
        config: model, hook, number of contexts.
        dictionaries: of these activations.
        activations: `train` and `heldout` [m, d] at the hook, and `heldout_contexts` [c, length].

    Raises:
        UserError: the model is not available, or has no such hook point.
    """
    tokens = tensor(activations["heldout_contexts"]).long()[: config.contexts]
    positions = tokens.shape[1] - 1
    x = tensor(activations["heldout"])[: len(tokens) * positions]
    run = NextTokenLoss(
        DownstreamModel(open_model(config.model, config.allow_download), config.hook), tokens
    )

    def loss_through(reconstruction: Float[Tensor, "m d"]) -> float:
        return run.with_change((reconstruction - x).view(len(tokens), positions, -1))

    clean, zero = run.clean(), loss_through(torch.zeros_like(x))
    mean = loss_through(tensor(activations["train"]).mean(0).expand_as(x))
    losses = []
    trained = saes(dictionaries, config.dictionary)
    for done, sae in enumerate(trained):
        losses.append(loss_through(sae.reconstruct(x)))
        report(done + 1, len(trained))
    loss = np.array(losses)
    return {
        "clean": clean,
        "zero": zero,
        "mean": mean,
        "loss": loss,
        "recovered_zero": (zero - loss) / (zero - clean),
        "recovered_mean": (mean - loss) / (mean - clean),
    }
