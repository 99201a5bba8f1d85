"""Values of section "A public model": the model itself beside the small one."""

import math
from collections.abc import Mapping

from audit.experiments.public.experiment import SubjectNames
from audit.pipeline.results import Scalar
from audit.subjects.language_model.config import DOMAINS, PUBLIC, WHEELS, Domain
from audit.subjects.language_model.results import (
    ByteLosses,
    MassiveActivations,
    ModelStatistics,
    TextResult,
)


def subject(
    config: SubjectNames,
    texts: Mapping[str, TextResult],
    losses: Mapping[str, ByteLosses],
    statistics: ModelStatistics,
    massive: Mapping[str, MassiveActivations],
) -> dict:
    """Size, text, bits per byte beside the small model and n-grams, and massive activations."""
    model = WHEELS[PUBLIC]
    return {
        "blocks": model.n_layers,
        "width": model.d_model,
        "multiple": Scalar(model.max_norm_multiple, 0, tolerance=0.0),
        "tokens": {
            name: Scalar(sum(part.size for part in text["train"].values()) / 1e6, 2)
            for name, text in texts.items()
        },
        "loss": {domain: _bits(losses, statistics, domain) for domain in DOMAINS},
        "massive": {name: _massive(massive[str(place)]) for place, name in enumerate(config.hooks)},
    }


def _bits(losses: Mapping[str, ByteLosses], statistics: ModelStatistics, domain: Domain) -> dict:
    """Bits per byte of held-out text; n-grams are of the small model's tokens."""
    models = {
        name: Scalar(
            found[domain]["nats_per_token"] / found[domain]["bytes_per_token"] / math.log(2), 3
        )
        for name, found in losses.items()
    }
    per_token = losses["small"][domain]["bytes_per_token"] * math.log(2)
    ngrams = {
        f"ngram{order}": Scalar(nats / per_token, 3)
        for order, nats in statistics[domain]["ngram"].items()
    }
    sizes = {
        f"bytes_{name}": Scalar(found[domain]["bytes_per_token"], 2)
        for name, found in losses.items()
    }
    return models | ngrams | sizes


def _massive(found: MassiveActivations) -> dict:
    return {
        **{
            name: Scalar(100 * found[name], 2, "%", tolerance=0.05)
            for name in ("share", "share_at_beginning", "contexts")
        },
        **{
            name: Scalar(100 * found[name], 1, "%", tolerance=0.5)
            for name in ("variance", "largest_dimension", "mean_share")
        },
        "largest": Scalar(found["largest"], 1, tolerance=0.5),
        "effective_rank": Scalar(found["effective_rank"], 1, tolerance=0.5),
    }
