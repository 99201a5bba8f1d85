"""Loss terms that couple the dictionaries of several seeds.

Each is a mean over maximum cosines. The gradient of a maximum flows through the maximizing pair
alone, so partners are found without a graph and only their cosines are computed with one: autograd
handles n·d numbers instead of n².
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
"""Warm-up steps of mutual feature regularization."""


def consistency(decoders: Float[Tensor, "S n d"]) -> Float[Tensor, ""]:
    """Consistency term of 000: minus the signed max cosine, averaged over all ordered pairs.

    From scripts/experiments/stability_aware_sae.py (`compute_consistency_loss`) in the public
    repository brightlikethelight/HUSAI. Theirs has two seeds and is computed on `.weight.data`,
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
    """Mutual feature regularization (Marks et al., 2411.01220) of sets of directions.

    For a pair: one minus the mean over the second set of the maximum cosine in the first. The term
    is averaged over pairs. From utils/sae_trainer.py (`calculate_consensus_loss`) and
    utils/general_utils.py in the public repositories luke-marks0/ and
    lyezene/mutual-feature-regularization. Their encoder is the transposed decoder; ours is not, and
    training averages the term over both. Their re-initialization of SAEs with uneven firing rates
    is left out.

    Returns:
        A scalar in [0, 2].
    """
    terms = []
    for first, second in _pairs(rows):
        _, partner_of_second = best_partners(first.detach(), second.detach())
        terms.append(1 - (second * embedding(partner_of_second, first)).sum(1).mean())
    return torch.stack(terms).mean()


def _pairs(rows: Float[Tensor, "S n d"]) -> Iterator[tuple[Tensor, Tensor]]:
    """All pairs of sets of directions, rows normalized to length one."""
    return combinations(rows / rows.norm(dim=2, keepdim=True), 2)


def mfr_warm_up(steps_done: int) -> float:
    """Cosine warm-up of mutual feature regularization (ibid.): share of the full weight."""
    left = max(0, MFR_WARM_UP_STEPS - steps_done) / MFR_WARM_UP_STEPS
    return (1 + math.cos(math.pi * left)) / 2


def best_partners(
    first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]
) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """Nearest row in the other set by cosine, in both directions; rows are unit vectors."""
    cosines = (first @ second.t()).numpy()
    # NumPy's argmax down the columns is a hundred times as slow as along the rows.
    along, down = cosines.argmax(axis=1), best_of_columns(cosines)
    return torch.from_numpy(along), torch.from_numpy(down).long()
