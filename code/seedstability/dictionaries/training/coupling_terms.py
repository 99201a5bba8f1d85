"""Terms that draw the dictionaries of several seeds together.

Each is a mean over best cosines. Which latent is the best partner is found without a graph, since
a maximum's gradient flows through its winner alone; the cosines of the winners are then computed
again, so that autograd meets n·d numbers and not n².
"""

import math
from collections.abc import Iterator
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding

from seedstability.dictionaries.kernels.partners import best_of_columns

MFR_WARM_UP_STEPS = 100
"""Steps over which mutual feature regularisation grows to its full weight."""


def consistency(decoders: Float[Tensor, "S n d"]) -> Float[Tensor, ""]:
    """Minus the signed max cosine, averaged over all ordered pairs: 000's consistency term.

    From scripts/experiments/stability_aware_sae.py (`compute_consistency_loss`) in the public
    repository brightlikethelight/HUSAI, which has two seeds and computes it on `.weight.data`, so
    without any gradient; this one is differentiable.

    Returns:
        A scalar in [−1, 1].
    """
    terms = []
    for first, second in _pairs(decoders):
        partner_of_first, partner_of_second = best_partners(first.detach(), second.detach())
        there = (first * embedding(partner_of_first, second)).sum(1).mean()
        back = (second * embedding(partner_of_second, first)).sum(1).mean()
        terms.append(-(there + back) / 2)
    return torch.stack(terms).mean()


def mutual_features(rows: Float[Tensor, "S n d"]) -> Float[Tensor, ""]:
    """Mutual feature regularisation (Marks et al., 2411.01220) of sets of directions.

    One minus the mean over the later one's latents of their best cosine in the earlier, averaged
    over pairs: one direction only, from utils/sae_trainer.py (`calculate_consensus_loss`) and
    utils/general_utils.py in the public repositories luke-marks0/ and
    lyezene/mutual-feature-regularization. Their encoder is the decoder, transposed; here it is not,
    and training averages the term over both. Their re-initialisation of SAEs whose firing rates are
    uneven is left out.

    Returns:
        A scalar in [0, 2].
    """
    terms = []
    for first, second in _pairs(rows):
        _, partner_of_second = best_partners(first.detach(), second.detach())
        terms.append(1 - (second * embedding(partner_of_second, first)).sum(1).mean())
    return torch.stack(terms).mean()


def _pairs(rows: Float[Tensor, "S n d"]) -> Iterator[tuple[Tensor, Tensor]]:
    """All pairs of sets of directions, the rows of each at length one."""
    return combinations(rows / rows.norm(dim=2, keepdim=True), 2)


def mfr_warm_up(steps_done: int) -> float:
    """Share of its full weight that mutual feature regularisation has: half a cosine (ibid.)."""
    left = max(0, MFR_WARM_UP_STEPS - steps_done) / MFR_WARM_UP_STEPS
    return (1 + math.cos(math.pi * left)) / 2


def best_partners(
    first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]
) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """For each unit row the other's row with the highest cosine, in both directions."""
    cosines = (first @ second.t()).numpy()
    # NumPy's argmax down the columns is a hundred times as slow as along the rows.
    along, down = cosines.argmax(axis=1), best_of_columns(cosines)
    return torch.from_numpy(along), torch.from_numpy(down).long()
