"""Errors of failed training, with the seed and the step."""

import math

import numpy as np
from jaxtyping import Int64

from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.errors import UserError

DIVERGED = 1e6
"""A loss that exceeds the first one by this factor never recovers."""


def refuse_loss(loss: float, first: float, config: DictionaryConfig, name: str, step: int) -> None:
    """Raise UserError if a loss is not finite or has diverged."""
    where = f"seed {name}, step {step}: the loss is {loss:g}"
    if not math.isfinite(loss):
        raise UserError(
            f"{where}; check the activations for NaN or lower the learning rate "
            f"({config.learning_rate:g})"
        )
    if loss > DIVERGED * first > 0:
        raise UserError(
            f"{where}, and was {first:g} at the first step: training diverged; "
            f"lower the learning rate ({config.learning_rate:g})"
        )


def refuse_dead(
    firings: Int64[np.ndarray, " n"], config: DictionaryConfig, name: str, step: int
) -> None:
    """Raise UserError if no latent fired."""
    if firings.any():
        return
    setting = architecture_of(config).against_death
    raise UserError(
        f"seed {name}, step {step}: no latent fired during the last epoch, all are dead; "
        f"lower {setting} ({getattr(config, setting):g})"
    )
