"""Stage: similarity of the dictionaries of one training, with four chance levels.

Results are [S, S] matrices, NaN on the diagonal and for pairs that were not compared. Chance levels
that differ between pairs are matrices over the same pairs, so that intervals over seeds cover both.
"""

import torch

from seedstability.similarity.chance_levels import covariance_of
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.inputs import ComparisonInputs, Moments
from seedstability.similarity.measures import measure
from seedstability.similarity.pairs import Weights
from seedstability.stability.recurrence import reproducibility_from_cosines
from seedstability.stability.subspaces.principal import principal_basis


def compare(
    config: ComparisonConfig, dictionaries: dict, evaluation: dict, activations: dict
) -> dict:
    """Compute similarities and chance levels of the dictionaries of one training stage.

    Args:
        config: pairs and number of draws.
        dictionaries: `decoder`, `encoder`, `initial_decoder` [S, n, d].
        evaluation: `live` [S, n].
        activations: `train` [samples, d], on which the dictionaries were trained.

    Returns:
        The result of `measures.measure`, with the `reproducibility` [S, n] of each latent instead
        of its best partners.
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
    result = measure(asked, config)
    best = result.pop("best")
    return result | {
        "reproducibility": reproducibility_from_cosines(best, config.threshold).numpy()
    }
