"""Data-based initialization: samples, or k-means centroids of samples."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from audit.training.variants.config import VariantConfig
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.metrics import best_gain
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_SAMPLES_FOR_GAIN = 2048
"""As for drawn initializations."""


def initial_rows(x: Float[Tensor, "m d"], config: VariantConfig) -> list[Float[Tensor, "n d"]]:
    """Samples, or centroids, that initialize each seed's rows; `x` is centered.

    Raises:
        UserError: more latents than samples.
    """
    n = config.dictionary.n_latents
    if n > len(x):
        raise UserError(
            f"{n} latents are initialized from {len(x)} samples; n_latents must be at most {len(x)}"
        )
    seeds: Sequence[int] = config.seeds[:1] if config.shared_init else config.seeds
    found = [_rows(x, n, config, seed) for seed in seeds]
    return found * len(config.seeds) if config.shared_init else found


def _rows(x: Tensor, n: int, config: VariantConfig, seed: int) -> Float[Tensor, "n d"]:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    drawn = x[order[:n]]
    if config.init == "data_points":
        return drawn
    return centroids(x[order[: max(n, config.clustered)]], drawn, config.rounds)


def centroids(
    x: Float[Tensor, "m d"], first: Float[Tensor, "n d"], rounds: int
) -> Float[Tensor, "n d"]:
    """k-means by Lloyd's algorithm from `first`; a centroid without samples is unchanged."""
    found = first.double()
    values = x.double()
    for _ in range(rounds):
        # ‖x − c‖² without ‖x‖², which is the same for all centroids
        nearest = (found.square().sum(1) - 2 * (x @ found.float().t())).argmin(1)
        sums = torch.zeros_like(found).index_add_(0, nearest, values)
        counts = torch.bincount(nearest, minlength=len(found))[:, None]
        found = torch.where(counts > 0, sums / counts.clamp_min(1), found)
    return found.float()


def sae_from_rows(
    x: Float[Tensor, "m d"], rows: Float[Tensor, "n d"], settings: DictionaryConfig
) -> SAE:
    """Make a tied SAE from rows, in the original units.

    Rows are normalized, the encoder is scaled as in drawn initializations, and the decoder bias is
    the mean.
    """
    tiny = torch.finfo(rows.dtype).tiny
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min(tiny)
    n = len(rows)
    raw = SAE(unit, torch.zeros(n), unit.clone(), x.mean(0), torch.zeros(n), settings)
    return replace(raw, encoder=unit * best_gain(raw, x[:_SAMPLES_FOR_GAIN]))
