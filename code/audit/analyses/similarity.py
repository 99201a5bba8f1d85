"""Stage: similarity of the dictionaries of one training, with four chance levels.

Results are [S, S] matrices, NaN on the diagonal and for pairs that were not compared. Chance levels
that differ between pairs are matrices over the same pairs, so that intervals over seeds cover both.
"""

from collections.abc import Mapping
from typing import NotRequired, cast

import numpy as np
import torch
from jaxtyping import Float, Int

from audit.evaluation.results import Evaluation
from audit.training.results import Dictionaries
from seedstability.similarity.chance_levels import covariance_of
from seedstability.similarity.comparison import Comparison
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.inputs import ComparisonInputs, Moments
from seedstability.similarity.measures import measure
from seedstability.similarity.pairs import Weights
from seedstability.stability.recurrence import reproducibility_from_cosines
from seedstability.stability.subspaces.principal import principal_basis


class SeedComparison(Comparison):
    """Similarities of the dictionaries of one training, with the recurrence of each latent."""

    reproducibility: Float[np.ndarray, "S n"]
    """Share of other seeds in which each latent recurs."""
    seeds: NotRequired[Int[np.ndarray, " S"]]
    """Seed of each dictionary, where each has one of its own."""


def compare(
    config: ComparisonConfig,
    dictionaries: Dictionaries,
    evaluation: Evaluation,
    activations: Mapping[str, np.ndarray],
) -> SeedComparison:
    """Compare the dictionaries of one training.

    Args:
        config: pairs and number of draws.
        dictionaries: trained on `activations`.
        evaluation: of the same dictionaries.
        activations: `train` [samples, d].
    """
    x = torch.from_numpy(activations["train"])
    ours = [
        Weights(torch.from_numpy(decoder), torch.from_numpy(encoder))
        for decoder, encoder in zip(dictionaries["decoder"], dictionaries["encoder"], strict=True)
    ]
    asked = ComparisonInputs(
        ours,
        torch.from_numpy(evaluation["live"]).unbind(),
        Moments(principal_basis(x), covariance_of(x), len(x)),
        torch.from_numpy(dictionaries["initial_decoder"]).unbind(),
    )
    measured = measure(asked, config)
    best = measured.pop("best")
    recurrence = reproducibility_from_cosines(best, config.threshold).numpy()
    seeds = {"seeds": dictionaries["seeds"]} if "seeds" in dictionaries else {}
    return cast(SeedComparison, {**measured, **seeds, "reproducibility": recurrence})
