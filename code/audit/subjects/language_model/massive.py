"""Massive activations: few tokens whose norm is many medians, with most of the variance.

Sun et al., 2402.17762. A model keeps them at the first token and at the first delimiters. They say
nothing about the text, and any measure of variance would be one of them.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from audit.subjects.language_model.activation_store import median_norm, read
from audit.subjects.language_model.config import ActivationsConfig, MassiveConfig
from audit.subjects.language_model.results import MassiveActivations, TextResult

_NEAR = 2
"""Positions after the separator that count as the beginning of a context."""


def massive(config: MassiveConfig, text: TextResult) -> dict[str, MassiveActivations]:
    """Measure norms and variance at each hook point, which is numbered in the order given.

    Raises:
        UserError: the model is not available, or has no such hook point.
    """
    every = np.concatenate([text["train"][domain] for domain in text["train"]])
    generator = np.random.default_rng(config.seed)
    chosen = np.sort(generator.choice(len(every), config.contexts, replace=False))
    request = ActivationsConfig(
        config.model, config.weights_sha256, config.hooks[0], together=config.hooks[1:]
    )
    parts = list(read(request, every[chosen]))
    return {
        str(place): _at(torch.cat([part[hook] for part in parts]), config.multiple)
        for place, hook in enumerate(config.hooks)
    }


def _at(x: Float[Tensor, "contexts positions d"], multiple: float) -> MassiveActivations:
    norms = x.norm(dim=-1)
    is_massive = norms > multiple * median_norm(x)
    usual = x[~is_massive].double()
    every = x.flatten(0, 1).double()
    by_dimension = usual.var(0)
    return {
        "share": float(is_massive.double().mean()),
        "share_at_beginning": float(is_massive[:, :_NEAR].double().mean()),
        "contexts": float(is_massive.any(dim=1).double().mean()),
        "largest": float(norms.max() / median_norm(x)),
        "variance": 1.0 - float(_squares(usual) / _squares(every)),
        "largest_dimension": float(by_dimension.max() / by_dimension.sum()),
        "mean_share": float(usual.mean(0).square().sum() / usual.square().sum(dim=1).mean()),
        "effective_rank": _participation(usual),
    }


def _squares(x: Float[Tensor, "m d"]) -> Tensor:
    """Sum of squared distances from the mean."""
    return (x - x.mean(0)).square().sum()


def _participation(x: Float[Tensor, "m d"]) -> float:
    """Participation ratio of the covariance's eigenvalues: (sum)² / sum of squares."""
    covariance = torch.cov(x.T)
    return float(covariance.trace() ** 2 / covariance.square().sum())
