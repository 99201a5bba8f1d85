"""Control dictionaries, made without training an SAE.

Similarity between seeds may come from the data alone. Each control takes its directions directly
from the data, or draws them at random.
"""

import warnings
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from audit.training.config import ControlConfig
from seedstability.dictionaries.metrics import best_gain
from seedstability.dictionaries.sae import SAE, check
from seedstability.errors import UserError

_RANK_TOLERANCE = 1e-3
"""Singular values below this share of the largest are noise, which whitening would amplify."""


def control(activations: Float[Tensor, "m d"], config: ControlConfig, seed: int) -> SAE:
    """Make the control dictionary of one seed, as a TopK SAE on centered samples.

    The encoder has one gain for all latents, fitted by least squares.

    Raises:
        UserError: an unknown kind, or more latents than samples.
    """
    makers = {
        "data_points": _data_points,
        "kmeans": _kmeans,
        "ica": _ica,
        "random_decoder": _random,
    }
    if config.kind not in makers:
        raise UserError(f"kind is {config.kind!r}; it must be one of {', '.join(makers)}")
    m, d = activations.shape
    check(config.dictionary, d)
    if config.kind in ("data_points", "kmeans") and config.n_latents > m:
        raise UserError(
            f"{config.n_latents} latents from {m} samples; {config.kind} allows at most {m}"
        )
    mean = activations.mean(0)
    # The order of sums in SciPy and scikit-learn depends on their number of threads.
    with threadpool_limits(1):
        encoder, decoder = makers[config.kind](activations - mean, config.n_latents, seed)
    n = len(decoder)
    settings = replace(config.dictionary, n_latents=n, k=min(config.k, n))
    raw = SAE(encoder, torch.zeros(n), decoder, mean, torch.zeros(n), settings)
    return replace(raw, encoder=encoder * best_gain(raw, activations))


def _data_points(x: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Samples drawn without replacement."""
    generator = torch.Generator().manual_seed(seed)
    return _tied(x[torch.randperm(len(x), generator=generator)[:n]])


def _random(x: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Directions drawn uniformly on the sphere."""
    generator = torch.Generator().manual_seed(seed)
    return _tied(torch.randn(n, x.shape[1], generator=generator))


def _kmeans(x: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Centroids of Lloyd's algorithm from one k-means++ initialization."""
    from sklearn.cluster import KMeans

    found = KMeans(n, n_init=1, max_iter=50, random_state=seed).fit(x.numpy())
    return _tied(torch.from_numpy(found.cluster_centers_.astype(np.float32)))


def _ica(x: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Independent components (FastICA, log cosh) with both signs, since latents are not negative.

    Returns 2·min(rank, n/2) rows: all of one sign first, then all of the other.
    """
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    values = x.double().numpy()
    singular = np.linalg.svd(values, compute_uv=False)
    rank = int((singular > _RANK_TOLERANCE * singular[0]).sum())
    components = max(1, min(rank, n // 2))
    with warnings.catch_warnings():
        # Without convergence the result depends on the seed, which is part of the control.
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica = FastICA(components, whiten="unit-variance", max_iter=200, random_state=seed)
        # FastICA divides by all singular values, including zeros, before it selects the first ones.
        with np.errstate(divide="ignore", invalid="ignore"):
            ica.fit(values)
    lengths = np.linalg.norm(ica.mixing_, axis=0)[:, None]
    read = torch.from_numpy((ica.components_ * lengths).astype(np.float32))
    written = torch.from_numpy((ica.mixing_.T / lengths).astype(np.float32))
    return torch.cat([read, -read]), torch.cat([written, -written])


def _tied(rows: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor]:
    """Unit rows as encoder and decoder."""
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    return unit, unit.clone()
