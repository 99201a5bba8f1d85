"""How alike latents of two seeds are in when they fire, beside how alike they look.

Two latents' activations are compared by Pearson's correlation over the same held-out tokens. Codes
are sparse, so sums over tokens run over pairs of latents that fire together, and are exact.

Two levels stand beside it, and neither contains the other. Any two dictionaries that read the same
text are correlated, the more so where the text lies along few directions: `gauge` keeps this and
loses the identity of latents, for there the second dictionary reads the text through a random
symmetry of its second moments. `shuffled` keeps the identity and loses the text: the second
dictionary reads other contexts of the same domain, and what is left is position and domain. The
first is chance as everywhere in the paper; the second says how much of a correlation needs no word
of the text.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import sparse, stats
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from audit.evaluation.behavior.config import CorrelationConfig
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import cosines
from seedstability.stability.subspaces.principal import principal_basis

_BATCH = 4096


class Codes(NamedTuple):
    """What one dictionary does on all held-out tokens."""

    values: sparse.csr_array
    """Activations [m, n], double precision."""
    mean: Float[ndarray, " n"]
    """Mean of each latent over tokens."""
    sd: Float[ndarray, " n"]
    """Its standard deviation; 0 for a latent that is dead."""

    @property
    def live(self) -> Bool[ndarray, " n"]:
        """Latents that fire, and not always alike."""
        return self.sd > 0

    @property
    def rate(self) -> Float[ndarray, " n"]:
        """Share of tokens on which each latent fires."""
        return np.bincount(self.values.indices, minlength=len(self.mean)) / self.values.shape[0]

    def reordered(self, rows: Int[ndarray, " m"]) -> "Codes":
        """The same activations at other tokens."""
        return self._replace(values=self.values[rows])


class LatentSimilarities(NamedTuple):
    """Two dictionaries' live latents, each compared with each."""

    cosine: Float[ndarray, "a b"]
    """Of decoder rows."""
    correlation: Float[ndarray, "a b"]
    """Of activations."""


def correlate(
    config: CorrelationConfig,
    dictionaries: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Correlations of activations between seeds, with the two levels beside them.

    Args:
        config: thresholds and bins.
        dictionaries: as `training.stages:train` returns them.
        activations: `train` and `heldout` [m, d], and `heldout_domain` [c] of the contexts that
            `heldout` is made of, all of one length.

    Returns:
        Under `value`, `gauge` and `shuffled` each statistic of `agreement_statistics` as [S, S], or
        [S, S, bins]; NaN on the diagonal and where it has no latents. And `live` [S].
    """
    generator = torch.Generator().manual_seed(config.seed)
    trained = saes(dictionaries, config.dictionary)[: config.first]
    x = tensor(activations["heldout"])
    basis = principal_basis(tensor(activations["train"]))
    gauge = GaugeBasis.from_basis(basis, len(activations["train"]))
    order = _shuffled_tokens(activations["heldout_domain"], len(x), config.seed)
    codes = [sparse_codes(sae, x) for sae in trained]
    turns = [gauge_scramble(torch.eye(x.shape[1]), gauge, generator) for _ in trained]
    turned = [
        sparse_codes(sae, rotated_about(x, basis.mean, turn))
        for sae, turn in zip(trained, turns, strict=True)
    ]
    tables: dict[str, dict[str, ndarray]] = {"value": {}, "gauge": {}, "shuffled": {}}
    pairs = list(combinations(range(len(trained)), 2))
    for done, (s, t) in enumerate(pairs):
        A, B = trained[s].decoder, trained[t].decoder
        found = {
            "value": latent_similarities(A, B, codes[s], codes[t]),
            "shuffled": latent_similarities(A, B, codes[s], codes[t].reordered(order)),
            # A dictionary that reads x M has the directions of the first times the transpose of M.
            "gauge": latent_similarities(A, B @ turns[t].T, codes[s], turned[t]),
        }
        for level, each in found.items():
            for name, value in agreement_statistics(each, config).items():
                shape = (len(trained), len(trained), *np.shape(value))
                table = tables[level].setdefault(name, np.full(shape, np.nan))
                table[s, t] = table[t, s] = value
        report(done + 1, len(pairs))
    return {**tables, "live": np.array([each.live.sum() for each in codes])}


def sparse_codes(sae: SAE, x: Float[Tensor, "m d"]) -> Codes:
    """Activations of a dictionary's latents on samples."""
    parts = [sparse.csr_array(sae.encode(batch).numpy()) for batch in x.split(_BATCH)]
    values = sparse.csr_array(sparse.vstack(parts)).astype(np.float64)
    mean = np.asarray(values.mean(axis=0)).ravel()
    square = np.asarray(values.multiply(values).mean(axis=0)).ravel()
    # Rounding leaves some 1e-16 of the square where a latent always does the same.
    variance = np.where(square - mean**2 > 1e-12 * square, square - mean**2, 0.0)
    return Codes(values, mean, np.sqrt(variance))


def pearson(a: Codes, b: Codes) -> Float[ndarray, "n_a n_b"]:
    """Correlation of each latent of `a` with each of `b` over tokens; 0 with a dead one."""
    together = (a.values.T @ b.values).toarray() / a.values.shape[0]
    spread = np.outer(a.sd, b.sd)
    covariance = together - np.outer(a.mean, b.mean)
    return np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0)


def latent_similarities(
    A: Float[Tensor, "n d"], B: Float[Tensor, "n d"], a: Codes, b: Codes
) -> LatentSimilarities:
    """Live latents of two dictionaries compared by decoders `A`, `B` and by activations."""
    live = np.ix_(a.live, b.live)
    return LatentSimilarities(cosines(A, B).double().numpy()[live], pearson(a, b)[live])


def agreement_statistics(found: LatentSimilarities, config: CorrelationConfig) -> dict[str, Any]:
    """Decoders and activations held against each other, latent by latent.

    Each has its own one-to-one assignment, the best for its sum. Over latents of the first
    dictionary that have a partner in both:

    - `matched_cosine`, `matched_correlation`: mean with the partner of its own assignment;
    - `partner_correlation`: mean correlation of partners by decoder, and that mean where their
      cosine is at least the threshold, `correlation_of_same`, or below the lower one,
      `correlation_of_unlike`; by bins of cosine, `binned_correlation`, with `binned_share`;
    - `spearman`: rank correlation over latents of decoder cosine with correlation, of partners by
      decoder; `spearman_matched` with the correlation that its own assignment gives;
    - `same_partner`: share of latents to which both give one partner; `both`, `activations_only`,
      `decoder_only`: share that is above the threshold in both, or in one alone.
    """
    looks, does = _assigned(found.cosine), _assigned(found.correlation)
    rows = np.flatnonzero((looks >= 0) & (does >= 0))
    looks, does = looks[rows], does[rows]
    cosine, correlation = found.cosine[rows, looks], found.correlation[rows, does]
    partners = found.correlation[rows, looks]
    same, alike = cosine >= config.threshold, correlation >= config.threshold
    places = np.digitize(cosine, config.edges)
    bins = [places == i for i in range(len(config.edges) + 1)]
    return {
        "matched_cosine": mean_of(cosine),
        "matched_correlation": mean_of(correlation),
        "partner_correlation": mean_of(partners),
        "correlation_of_same": mean_of(partners[same]),
        "correlation_of_unlike": mean_of(partners[cosine < config.unlike]),
        "spearman": spearman(cosine, partners),
        "spearman_matched": spearman(cosine, correlation),
        "same_partner": mean_of(looks == does),
        "both": mean_of(same & alike),
        "activations_only": mean_of(~same & alike),
        "decoder_only": mean_of(same & ~alike),
        "binned_correlation": np.array([mean_of(partners[inside]) for inside in bins]),
        "binned_share": np.array([mean_of(inside) for inside in bins]),
    }


def rotated_about(
    x: Float[Tensor, "m d"], mean: Float[Tensor, " d"], turn: Float[Tensor, "d d"]
) -> Float[Tensor, "m d"]:
    """Samples turned about their mean, which with their second moments stays."""
    return (x - mean.float()) @ turn + mean.float()


def mean_of(values: ndarray) -> float:
    """The mean, NaN where there is nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def spearman(first: ndarray, second: ndarray) -> float:
    """Rank correlation; NaN where one does not vary."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(stats.spearmanr(first, second).statistic)


def _assigned(similarity: Float[ndarray, "a b"]) -> Int[ndarray, " a"]:
    """Column of each row in the one-to-one assignment with the largest sum; −1 without."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    partner = np.full(len(similarity), -1)
    partner[rows] = columns
    return partner


def _shuffled_tokens(domain: Int[ndarray, " c"], tokens: int, seed: int) -> Int[ndarray, " m"]:
    """Places of tokens after the contexts of each domain changed places among themselves."""
    generator = np.random.default_rng(seed)
    order = np.arange(len(domain))
    for each in np.unique(domain):
        inside = np.flatnonzero(domain == each)
        order[inside] = generator.permutation(inside)
    length = tokens // len(domain)
    return (order[:, None] * length + np.arange(length)).ravel()
