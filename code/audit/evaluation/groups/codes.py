"""Sparse activations of a dictionary on samples, and reconstructions without some latents."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from audit.evaluation.explanation.heldout_text import Firings, firings
from seedstability.dictionaries.sae import SAE


def sparse_columns(sae: SAE, x: Float[Tensor, "m d"]) -> sparse.csc_array:
    """Encode samples as sparse columns [m, n], one for each latent, in double precision."""
    return as_columns(firings(sae, x), len(x))


def as_columns(found: Firings, m: int) -> sparse.csc_array:
    """Convert firings on `m` samples to sparse columns [m, n]."""
    starts = np.concatenate([[0], found.ends])
    return sparse.csc_array(
        (found.values.astype(np.float64), found.rows, starts), shape=(m, len(found.counts))
    )


def correlations(codes: sparse.csc_array) -> Float[ndarray, "n n"]:
    """Correlate all columns over samples; 0 for constant columns, 1 on the diagonal."""
    m = codes.shape[0]
    mean = np.asarray(codes.sum(axis=0)).ravel() / m
    covariance = (codes.T @ codes).toarray() / m - np.outer(mean, mean)
    sd = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    spread = np.outer(sd, sd)
    # Rounding leaves about 1e-16 of a square for a constant column.
    varies = spread > 1e-12 * max(float(spread.max()), 1e-300)
    found = np.divide(covariance, spread, out=np.zeros_like(spread), where=varies)
    np.fill_diagonal(found, 1.0)
    return found


def reconstruct_without(
    sae: SAE, codes: sparse.csc_array, removed: Int[ndarray, " removed"]
) -> Float[ndarray, "m d"]:
    """Reconstruct samples with the given latents set to zero, in double precision."""
    kept = np.ones(codes.shape[1])
    kept[removed] = 0.0
    decoder = sae.decoder.double().numpy() * kept[:, None]
    return codes @ decoder + sae.decoder_bias.double().numpy()
