"""Correlation of the activations of two seeds' latents, beside the cosine of their decoders.

Two latents' activations are compared by Pearson's correlation over the same held-out tokens. Codes
are sparse, so sums over tokens run over pairs of latents that fire together, and are exact.

There are two reference levels, and neither contains the other. Any two dictionaries that read the
same text are correlated, the more so if its activations lie along few directions. `gauge` keeps
this and loses the identity of latents: the second dictionary reads the text through a random
symmetry of its second moments. `shuffled` keeps the identity and loses the text: the second
dictionary reads other contexts of the same domain, which leaves position and domain. `gauge` is the
chance level used throughout the paper; `shuffled` is the part of a correlation that does not depend
on the text.
"""

from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import sparse, stats
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from audit.evaluation.behavior.config import CorrelationConfig
from audit.subjects.language_model.results import TextActivations
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import cosines
from seedstability.stability.pairs import all_pairs
from seedstability.stability.subspaces.principal import principal_basis

_BATCH = 4096


class Codes(NamedTuple):
    """Sparse activations of one dictionary on all held-out tokens."""

    values: sparse.csr_array
    """Activations [m, n], double precision."""
    mean: Float[ndarray, " n"]
    """Mean of each latent over tokens."""
    sd: Float[ndarray, " n"]
    """Standard deviation of each latent; 0 for a dead one."""

    @property
    def live(self) -> Bool[ndarray, " n"]:
        """Latents whose activation varies."""
        return self.sd > 0

    @property
    def rate(self) -> Float[ndarray, " n"]:
        """Share of tokens on which each latent fires."""
        return np.bincount(self.values.indices, minlength=len(self.mean)) / self.values.shape[0]

    def reordered(self, rows: Int[ndarray, " m"]) -> "Codes":
        """Return the activations in another order of tokens."""
        return self._replace(values=self.values[rows])


class LatentSimilarities(NamedTuple):
    """Similarities of all pairs of live latents of two dictionaries."""

    cosine: Float[ndarray, "a b"]
    """Cosine of decoder rows."""
    correlation: Float[ndarray, "a b"]
    """Correlation of activations."""


Level = Literal["value", "gauge", "shuffled"]
AgreementTables = dict[str, Float[ndarray, "S S *bins"]]
"""Each of `agreement_statistics`; NaN on the diagonal and where no latents qualify."""


class Correlations(TypedDict):
    """Agreement of decoders and activations over pairs of S seeds, with both reference levels."""

    value: AgreementTables
    gauge: AgreementTables
    shuffled: AgreementTables
    live: Int[ndarray, " S"]
    """Number of live latents."""


def correlate(
    config: CorrelationConfig,
    dictionaries: Dictionaries,
    activations: TextActivations,
) -> Correlations:
    """Correlate activations between seeds, with both reference levels."""
    generator = torch.Generator().manual_seed(config.seed)
    trained = saes(dictionaries, config.dictionary, config.seeds)
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
    tables: dict[Level, AgreementTables] = {"value": {}, "gauge": {}, "shuffled": {}}
    pairs = all_pairs(len(trained))
    for done, (s, t) in enumerate(pairs):
        A, B = trained[s].decoder, trained[t].decoder
        found: dict[Level, LatentSimilarities] = {
            "value": latent_similarities(A, B, codes[s], codes[t]),
            "shuffled": latent_similarities(A, B, codes[s], codes[t].reordered(order)),
            # A dictionary that reads x M has decoder directions times the transpose of M.
            "gauge": latent_similarities(A, B @ turns[t].T, codes[s], turned[t]),
        }
        for level, each in found.items():
            for name, value in agreement_statistics(each, config).items():
                shape = (len(trained), len(trained), *np.shape(value))
                table = tables[level].setdefault(name, np.full(shape, np.nan))
                table[s, t] = table[t, s] = value
        report(done + 1, len(pairs))
    return {
        "value": tables["value"],
        "gauge": tables["gauge"],
        "shuffled": tables["shuffled"],
        "live": np.array([each.live.sum() for each in codes]),
    }


def sparse_codes(sae: SAE, x: Float[Tensor, "m d"]) -> Codes:
    """Encode samples as sparse codes."""
    parts = [sparse.csr_array(sae.encode(batch).numpy()) for batch in x.split(_BATCH)]
    values = sparse.csr_array(sparse.vstack(parts)).astype(np.float64)
    mean = np.asarray(values.mean(axis=0)).ravel()
    square = np.asarray(values.multiply(values).mean(axis=0)).ravel()
    # Rounding leaves about 1e-16 of the square for a constant latent.
    variance = np.where(square - mean**2 > 1e-12 * square, square - mean**2, 0.0)
    return Codes(values, mean, np.sqrt(variance))


def pearson(a: Codes, b: Codes) -> Float[ndarray, "n_a n_b"]:
    """Correlate each latent of `a` with each of `b` over tokens; 0 for constant latents."""
    together = (a.values.T @ b.values).toarray() / a.values.shape[0]
    spread = np.outer(a.sd, b.sd)
    covariance = together - np.outer(a.mean, b.mean)
    return np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0)


def latent_similarities(
    A: Float[Tensor, "n d"], B: Float[Tensor, "n d"], a: Codes, b: Codes
) -> LatentSimilarities:
    """Compare live latents of two dictionaries by decoders `A`, `B` and by activations."""
    live = np.ix_(a.live, b.live)
    return LatentSimilarities(cosines(A, B).double().numpy()[live], pearson(a, b)[live])


def agreement_statistics(found: LatentSimilarities, config: CorrelationConfig) -> dict[str, Any]:
    """Compare similarity by decoders with similarity by activations, latent by latent.

    Cosines and correlations have one optimal one-to-one assignment each. Over latents of the first
    dictionary that have a partner in both:

    - `matched_cosine`, `matched_correlation`: mean over partners of the respective assignment;
    - `partner_correlation`: mean correlation of partners by decoder; that mean over pairs with
      cosine at least the threshold, `correlation_of_same`, or below the lower one,
      `correlation_of_unlike`; by bins of cosine, `binned_correlation`, with `binned_share`;
    - `spearman`: rank correlation over latents of decoder cosine with correlation, of partners by
      decoder; `spearman_matched`, with the correlation of partners by activation;
    - `same_partner`: share of latents with the same partner in both assignments; `both`,
      `activations_only`, `decoder_only`: share above the threshold in both, or in only one.
    """
    by_decoder, by_activation = _assigned(found.cosine), _assigned(found.correlation)
    rows = np.flatnonzero((by_decoder >= 0) & (by_activation >= 0))
    by_decoder, by_activation = by_decoder[rows], by_activation[rows]
    cosine, correlation = found.cosine[rows, by_decoder], found.correlation[rows, by_activation]
    partners = found.correlation[rows, by_decoder]
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
        "same_partner": mean_of(by_decoder == by_activation),
        "both": mean_of(same & alike),
        "activations_only": mean_of(~same & alike),
        "decoder_only": mean_of(same & ~alike),
        "binned_correlation": np.array([mean_of(partners[inside]) for inside in bins]),
        "binned_share": np.array([mean_of(inside) for inside in bins]),
    }


def rotated_about(
    x: Float[Tensor, "m d"], mean: Float[Tensor, " d"], turn: Float[Tensor, "d d"]
) -> Float[Tensor, "m d"]:
    """Rotate samples about their mean, which keeps mean and second moments."""
    return (x - mean.float()) @ turn + mean.float()


def mean_of(values: ndarray) -> float:
    """Return the mean, NaN for an empty array."""
    return float(np.mean(values)) if len(values) else float("nan")


def spearman(first: ndarray, second: ndarray) -> float:
    """Compute the rank correlation; NaN if one array is constant or there are fewer than three."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(stats.spearmanr(first, second).statistic)


def _assigned(similarity: Float[ndarray, "a b"]) -> Int[ndarray, " a"]:
    """Return each row's column in the one-to-one assignment with the largest sum, or −1."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    partner = np.full(len(similarity), -1)
    partner[rows] = columns
    return partner


def _shuffled_tokens(domain: Int[ndarray, " c"], tokens: int, seed: int) -> Int[ndarray, " m"]:
    """Return the order of tokens after permuting the contexts within each domain."""
    generator = np.random.default_rng(seed)
    order = np.arange(len(domain))
    for each in np.unique(domain):
        inside = np.flatnonzero(domain == each)
        order[inside] = generator.permutation(inside)
    length = tokens // len(domain)
    return (order[:, None] * length + np.arange(length)).ravel()
