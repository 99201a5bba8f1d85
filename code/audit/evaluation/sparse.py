"""Reconstruction metrics of TopK dictionaries with many latents, from sparse codes.

`evaluation.stages:evaluate` multiplies all n latents of a sample with the decoder, although only k
are not zero. At 16,384 latents that is most of its time.
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from audit.evaluation.config import EvaluationConfig
from audit.evaluation.reconstruction import metrics_of_each
from audit.evaluation.results import Evaluation
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.architectures.topk import TopK
from seedstability.dictionaries.metrics import whole_sum
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_SAMPLES_AT_ONCE = 2048
TRAIN_SAMPLES = 4096
"""Training samples evaluated; they only show how far training and held-out metrics differ."""


def evaluate_topk(
    config: EvaluationConfig,
    dictionaries: Dictionaries,
    activations: Mapping[str, np.ndarray],
) -> Evaluation:
    """Evaluate TopK dictionaries as `evaluation.stages:evaluate` does, on fewer training samples.

    Raises:
        UserError: the architecture is not TopK.
    """
    if not isinstance(architecture_of(config.dictionary), TopK):
        raise UserError(
            f"architecture is {config.dictionary.architecture!r}; evaluate_topk needs 'topk'"
        )
    x = {
        "train": tensor(activations["train"][:TRAIN_SAMPLES]),
        "heldout": tensor(activations["heldout"]),
    }
    trained = saes(dictionaries, config.dictionary)
    result = metrics_of_each(trained, x, _metrics)
    return cast(Evaluation, {**result, "live": result["heldout"]["firing_rate"] > 0})


def _metrics(sae: SAE, x: Float[Tensor, "m d"]) -> dict[str, Any]:
    m, d = x.shape
    n = len(sae.decoder)
    decoder, architecture = sae.decoder.numpy(), architecture_of(sae.config)
    squares = total = 0.0
    firings = np.zeros(n)
    for batch in x.split(_SAMPLES_AT_ONCE):
        starts, latents, values = architecture.active(sae, sae.centered(batch))
        if architecture.rectifies(sae.config):
            values = np.maximum(values, 0.0)
        codes = sparse.csr_array((values, latents, starts), shape=(len(batch), n))
        error = (batch - torch.from_numpy(codes @ decoder) - sae.decoder_bias).double()
        squares += whole_sum(error.square())
        total += whole_sum(error)
        firings += np.bincount(latents[values != 0], minlength=n)
    x = x.double()
    about_mean = whole_sum((x - x.mean(0)).square())
    about_scalar = whole_sum(x.square()) - whole_sum(x) ** 2 / x.numel()
    return {
        "explained_variance": 1 - squares / about_mean,
        "explained_variance_scalar_mean": 1 - (squares - total**2 / (m * d)) / about_scalar,
        "mse": squares / (m * d),
        "l0": firings.sum() / m,
        "dead_fraction": (firings == 0).mean(),
        "firing_rate": firings / m,
    }
