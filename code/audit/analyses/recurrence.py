"""Stage: recurrence of each latent in the other dictionaries, as best cosines."""

import numpy as np
import torch
from torch import Tensor

from audit.analyses.config import RecurrenceConfig
from seedstability.progress import report
from seedstability.similarity.pairs import Weights, find_sae_partners
from seedstability.stability.chance.null_models import GaugeBasis
from seedstability.stability.matching.match import Agreement, agreement
from seedstability.stability.matching.nearest import best_cosines
from seedstability.stability.pairs import all_pairs

SCOPES = ("best", "best_live", "gauge", "gauge_live")


def recurrence(
    config: RecurrenceConfig, dictionaries: dict, evaluation: dict, activations: dict
) -> dict:
    """Compute the best signed decoder cosine of each latent of s in t, and whether t shares it.

    Args:
        config: threshold from which a latent is shared.
        dictionaries: `decoder`, `encoder` [S, n, d].
        evaluation: `live` [S, n].
        activations: `train` [samples, d].

    Returns:
        [S, S, n], NaN (False for `shared`) where s = t: `best`, with any latent of t, and
        `best_live`, with a live one (−1 if t has none); `gauge` and `gauge_live`, the same after a
        random symmetry of the data was applied to t; `shared`, the same partner in both assignments
        with cosines above the threshold (Paulo & Belrose). And `live` [S, n].
    """
    generator = torch.Generator().manual_seed(config.seed)
    basis = GaugeBasis.from_activations(torch.from_numpy(activations["train"]))
    live = torch.from_numpy(evaluation["live"])
    ours = [
        Weights(torch.from_numpy(decoder), torch.from_numpy(encoder))
        for decoder, encoder in zip(dictionaries["decoder"], dictionaries["encoder"], strict=True)
    ]
    shape = (len(ours), len(ours), live.shape[1])
    best = {scope: np.full(shape, np.nan, np.float32) for scope in SCOPES}
    shared = np.zeros(shape, bool)
    pairs = all_pairs(len(ours))
    for done, (s, t) in enumerate(pairs):
        A, B = ours[s], ours[t]
        scrambled = B.scrambled(basis, generator)
        for scope, other in (("best", B), ("gauge", scrambled)):
            _enter(best[scope], s, t, best_cosines(A.decoder, other.decoder)[:2])
            _enter(
                best[f"{scope}_live"], s, t, _of_live(A.decoder, other.decoder, live[s], live[t])
            )
        decoders, encoders = find_sae_partners(A, B)
        verdicts = agreement(decoders.matching, encoders.matching, config.threshold)
        shared[s, t], shared[t, s] = _both_ways(verdicts, decoders.matching.partner)
        report(done + 1, len(pairs))
    return {**best, "shared": shared, "live": live.numpy()}


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
