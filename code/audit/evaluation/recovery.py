"""What a model's loss is when a dictionary's reconstruction takes the activations' place.

`loss_recovered` = (CE_ablated − CE_sae) / (CE_ablated − CE_clean), CE the mean cross-entropy of the
next token in nats. Two ablations stand for "without the activations": zeros, and their mean.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from audit.evaluation.intervention import Rest
from audit.evaluation.recovery_config import RecoveryConfig
from audit.subjects.language_model.checkpoint import open_model
from audit.training.stages import saes, tensor
from seedstability.progress import report

_CONTEXTS = 16


class NextToken:
    """A model's loss on held-out contexts when something is changed at a hook."""

    def __init__(self, rest: Rest, tokens: Int[Tensor, "c length"]):
        self.rest, self.tokens = rest, tokens
        self.entering, self.last = rest.clean(tokens)

    def clean(self) -> float:
        """With nothing changed."""
        return self._mean([self._losses(self.last, self.tokens)])

    def with_change(self, change: Float[Tensor, "c positions d"]) -> float:
        """With `change` added at the hook, at every position but the separator at the first.

        Dictionaries have not seen the separator, so it is never touched.
        """
        change = nn.functional.pad(change, (0, 0, 1, 0))
        found = []
        for at in range(0, len(self.tokens), _CONTEXTS):
            some = slice(at, at + _CONTEXTS)
            last = self.rest.changed(self.entering[some], change[some])
            found.append(self._losses(last, self.tokens[some]))
        return self._mean(found)

    def _losses(
        self, last: Float[Tensor, "c length d"], tokens: Int[Tensor, "c length"]
    ) -> Float[Tensor, " m"]:
        """Of each token that follows a changed position, in nats."""
        flat, wanted = last[:, 1:-1].flatten(0, 1), tokens[:, 2:].flatten()
        parts = zip(flat.split(1024), wanted.split(1024), strict=True)
        return torch.cat(
            [
                -self.rest.log_probabilities(part).gather(1, next_token[:, None])[:, 0]
                for part, next_token in parts
            ]
        )

    @staticmethod
    def _mean(losses: list[Tensor]) -> float:
        return float(torch.cat(losses).numpy().mean())


def loss_recovered(
    config: RecoveryConfig,
    dictionaries: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The model's loss through each dictionary, and the share of it that is recovered.

    Args:
        config: model, hook, how many contexts.
        dictionaries: as `training.stages:train` returns them.
        activations: `train` and `heldout` [m, d] at the hook, and `heldout_contexts` [c, length].

    Returns:
        `clean`, `zero` and `mean`, losses in nats without a dictionary; `loss` [S], through each;
        `recovered_zero` and `recovered_mean` [S], shares.

    Raises:
        UserError: the model cannot be had, or has no such hook point.
    """
    tokens = tensor(activations["heldout_contexts"]).long()[: config.contexts]
    positions = tokens.shape[1] - 1
    x = tensor(activations["heldout"])[: len(tokens) * positions]
    run = NextToken(Rest(open_model(config.model, config.allow_download), config.hook), tokens)

    def instead(made: Float[Tensor, "m d"]) -> float:
        return run.with_change((made - x).view(len(tokens), positions, -1))

    clean, zero = run.clean(), instead(torch.zeros_like(x))
    mean = instead(tensor(activations["train"]).mean(0).expand_as(x))
    losses = []
    trained = saes(dictionaries, config.dictionary)
    for done, sae in enumerate(trained):
        losses.append(instead(sae.reconstruct(x)))
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
