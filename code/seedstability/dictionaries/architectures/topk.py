"""TopK (Gao et al., 2406.04093), and HUSAI's suppression of inactive latents."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.architectures.architecture import Architecture, Batch, Forward
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.kernels.selection import keep_largest
from seedstability.dictionaries.sparse_latents import ActiveEntries
from seedstability.dictionaries.training.sparse_gradients import (
    BatchGradients,
    Entries,
    squared_error,
)

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE


class TopK(Architecture):
    """The k largest pre-activations of a sample are latents, after a ReLU if `rectify` is set."""

    name = "topk"
    reads_k = has_suppression = True

    def encode(self, pre: Float[Tensor, "b n"], sae: "SAE") -> Float[Tensor, "b n"]:
        """See `Architecture`."""
        k = sae.config.k
        latents, values = np.empty((len(pre), k), np.int32), np.empty((len(pre), k), np.float32)
        keep_largest(pre.float().numpy(), k, latents, values)
        columns = torch.from_numpy(latents).long()
        kept = torch.zeros_like(pre).scatter_(1, columns, pre.gather(1, columns))
        return kept.relu_() if sae.config.rectify else kept

    def active(self, sae: "SAE", centered: Float[Tensor, "b d"]) -> ActiveEntries:
        """See `Architecture`."""
        return sparse_latents.topk(sae.encoder, sae.encoder_bias, centered, sae.config.k)

    def select(
        self,
        pre: Float[Tensor, "S b n"],
        threshold: Float[Tensor, "S 1 n"],
        config: DictionaryConfig,
    ) -> Float[Tensor, "S b n"]:
        """See `Architecture`."""
        return pre.masked_fill(~largest(pre, config.k), 0.0)

    def rectifies(self, config: DictionaryConfig) -> bool:
        """See `Architecture`."""
        return config.rectify

    def penalty(self, forward: Forward, config: DictionaryConfig) -> Float[Tensor, " S"] | None:
        """HUSAI's auxiliary loss: a sample's summed squared error times the sum of the k largest
        magnitudes among its inactive latents, averaged over samples."""
        if not config.suppression:
            return None
        # The difference is zero for the latents that are kept.
        inactive = (forward.pre - forward.selected).abs()
        inactive = inactive.masked_fill(~largest(inactive, config.k), 0.0)
        term = (forward.error.square().sum(2) * inactive.sum(2)).mean(1)
        return config.suppression * term

    def sparse_gradients(self, sae: "SAE", inputs: Batch) -> BatchGradients:
        """See `Architecture`."""
        config, x, centered = sae.config, inputs.x, inputs.centered
        if config.suppression:
            return _suppressed(sae, x, centered)
        fired = inputs.select(sae.encoder, sae.encoder_bias, centered, config.k)
        return squared_error(sae, x, centered, _rectified(sae, fired), rectify=config.rectify)[0]


def largest(values: Float[Tensor, "*rows n"], k: int) -> Bool[Tensor, "*rows n"]:
    """Mask of exactly the `k` largest values of each row."""
    columns = values.detach().topk(k, dim=-1, sorted=False).indices
    # Scattering one scalar is deterministic on CUDA, and so is the gradient through a mask.
    return torch.zeros_like(values, dtype=torch.bool).scatter_(-1, columns, True)


def _suppressed(sae: "SAE", x: Tensor, centered: Tensor) -> BatchGradients:
    """TopK with HUSAI's term: a sample's squared error times its largest inactive magnitudes."""
    share, b = sae.config.suppression / len(x), len(x)
    fired, inactive = sparse_latents.topk_and_inactive(sae, centered, sae.config.k)
    weight = 2 / x.numel() + 2 * share * inactive.totals.astype(np.float64)
    batch, squares = squared_error(
        sae, x, centered, _rectified(sae, fired), weight, sae.config.rectify
    )
    batch.loss += share * np.dot(squares, inactive.totals).item()
    samples = np.repeat(np.arange(b, dtype=np.int32), inactive.latents.shape[1])
    slopes = (inactive.signs * (share * squares)[:, None]).astype(np.float32)
    batch.encoder_entries = batch.encoder_entries.extended(
        Entries(inactive.latents.reshape(-1), samples, slopes.reshape(-1))
    )
    return batch


def _rectified(sae: "SAE", fired: ActiveEntries) -> ActiveEntries:
    return fired._replace(values=np.maximum(fired.values, 0)) if sae.config.rectify else fired
