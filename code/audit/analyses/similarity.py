"""Stage: S autoencoders of one kind compared with each other, and with four kinds of chance.

Results are [S, S] matrices, NaN where a pair was not looked at and on the diagonal: a
dictionary is not compared with itself. Chance levels are matrices over the same pairs where
each pair has its own, so that an interval over seeds can take both along.
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
    """Similarities and chance levels of the dictionaries of one training stage.

    Args:
        config: which pairs, how many draws.
        dictionaries: `decoder`, `encoder`, `initial_decoder` [S, n, d].
        evaluation: `live` [S, n].
        activations: `train` [samples, d], on which the dictionaries were trained.

    Returns:
        What `measures.measure` returns, with `reproducibility` [S, n] of each latent in the place
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
