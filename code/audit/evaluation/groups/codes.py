"""What some latents of a dictionary do on samples, without a table of all of them."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse
from torch import Tensor

from audit.evaluation.explanation.heldout_text import Firings, firings
from seedstability.dictionaries.sae import SAE


def codes_of_all(sae: SAE, x: Float[Tensor, "m d"]) -> sparse.csc_array:
    """Activations [m, n] of all latents, a column each, double precision."""
    return as_columns(firings(sae, x), len(x))


def as_columns(found: Firings, m: int) -> sparse.csc_array:
    """Firings on `m` samples as sparse columns [m, n]."""
    starts = np.concatenate([[0], found.ends])
    return sparse.csc_array(
        (found.values.astype(np.float64), found.rows, starts), shape=(m, len(found.counts))
    )


def correlations(codes: sparse.csc_array) -> Float[ndarray, "n n"]:
    """Pearson's correlation of all columns over samples; 0 with one that does not vary, but 1 on
    the diagonal."""
    m = codes.shape[0]
    mean = np.asarray(codes.sum(axis=0)).ravel() / m
    covariance = (codes.T @ codes).toarray() / m - np.outer(mean, mean)
    sd = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    spread = np.outer(sd, sd)
    # Rounding leaves some 1e-16 of a square where a column always does the same.
    varies = spread > 1e-12 * max(float(spread.max()), 1e-300)
    found = np.divide(covariance, spread, out=np.zeros_like(spread), where=varies)
    np.fill_diagonal(found, 1.0)
    return found


def without(
    sae: SAE, codes: sparse.csc_array, removed: Int[ndarray, " some"]
) -> Float[ndarray, "m d"]:
    """Reconstructions with some latents set to zero, double precision."""
    kept = np.ones(codes.shape[1])
    kept[removed] = 0.0
    decoder = sae.decoder.double().numpy() * kept[:, None]
    return codes @ decoder + sae.decoder_bias.double().numpy()
