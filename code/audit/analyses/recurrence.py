"""Stage: recurrence of each latent in the other dictionaries, as best cosines."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from audit.analyses.config import RecurrenceConfig
from audit.evaluation.results import Evaluation
from audit.training.results import Dictionaries
from seedstability.progress import report
from seedstability.similarity.pairs import Weights, find_sae_partners
from seedstability.stability.chance.null_models import GaugeBasis
from seedstability.stability.matching.match import Agreement, agreement
from seedstability.stability.matching.nearest import best_cosines
from seedstability.stability.pairs import all_pairs


class Recurrence(TypedDict):
    """Best signed decoder cosine of latent i of seed s in seed t; NaN where s = t."""

    best: Float[np.ndarray, "S S n"]
    """With any latent of t."""
    best_live: Float[np.ndarray, "S S n"]
    """With a live latent of t; −1 if t has none."""
    gauge: Float[np.ndarray, "S S n"]
    """As `best`, after a random symmetry of the data was applied to t."""
    gauge_live: Float[np.ndarray, "S S n"]
    """As `best_live`, after the same symmetry."""
    shared: Bool[np.ndarray, "S S n"]
    """Whether both assignments have the same partner, with cosines above the threshold (Paulo &
    Belrose); false where s = t."""
    live: Bool[np.ndarray, "S n"]


def recurrence(
    config: RecurrenceConfig,
    dictionaries: Dictionaries,
    evaluation: Evaluation,
    activations: Mapping[str, np.ndarray],
) -> Recurrence:
    """Compute the best cosine of each latent in the other dictionaries, and which share it."""
    generator = torch.Generator().manual_seed(config.seed)
    basis = GaugeBasis.from_activations(torch.from_numpy(activations["train"]))
    live = torch.from_numpy(evaluation["live"])
    ours = [
        Weights(torch.from_numpy(decoder), torch.from_numpy(encoder))
        for decoder, encoder in zip(dictionaries["decoder"], dictionaries["encoder"], strict=True)
    ]
    shape = (len(ours), len(ours), live.shape[1])
    best, best_live, gauge, gauge_live = np.full((4, *shape), np.nan, np.float32)
    shared = np.zeros(shape, bool)
    pairs = all_pairs(len(ours))
    for done, (s, t) in enumerate(pairs):
        A, B = ours[s], ours[t]
        scrambled = B.scrambled(basis, generator)
        for other, of_any, of_live in ((B, best, best_live), (scrambled, gauge, gauge_live)):
            _enter(of_any, s, t, best_cosines(A.decoder, other.decoder)[:2])
            _enter(of_live, s, t, _of_live(A.decoder, other.decoder, live[s], live[t]))
        decoders, encoders = find_sae_partners(A, B)
        assert encoders is not None  # trained SAEs have both
        verdicts = agreement(decoders.matching, encoders.matching, config.threshold)
        shared[s, t], shared[t, s] = _both_ways(verdicts, decoders.matching.partner)
        report(done + 1, len(pairs))
    return {
        "best": best,
        "best_live": best_live,
        "gauge": gauge,
        "gauge_live": gauge_live,
        "shared": shared,
        "live": live.numpy(),
    }


def _enter(table: np.ndarray, s: int, t: int, cosines: tuple[Tensor, ...]) -> None:
    table[s, t], table[t, s] = (each.numpy() for each in cosines)


def _of_live(A: Tensor, B: Tensor, of_a: Tensor, of_b: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the best cosine of every row, dead or live, with a live row of the other."""
    none_live = -torch.ones(len(A))
    return (
        best_cosines(A, B[of_b]).rows if of_b.any() else none_live,
        best_cosines(A[of_a], B).columns if of_a.any() else none_live,
    )


def _both_ways(verdicts: Agreement, partner: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return which latents of the first and of the second dictionary are shared."""
    of_second = torch.zeros_like(verdicts.shared)
    of_second[partner[verdicts.shared]] = True
    return verdicts.shared.numpy(), of_second.numpy()
