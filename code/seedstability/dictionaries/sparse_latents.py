"""Active latents of a batch as sparse entries."""

import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor

from seedstability.dictionaries.kernels.selection import (
    count_above,
    keep_above,
    keep_largest,
    keep_largest_excluding,
)

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE

_MAX_PRE_ACTIVATIONS = 1 << 24
"""64 MB. The size changes the time by up to a fifth at 32,768 latents; larger is no faster."""
_memory = threading.local()


class ActiveEntries(NamedTuple):
    """The m active entries of a batch of b samples: by sample, latents ascending (CSR layout)."""

    offsets: Int64[np.ndarray, " b+1"]
    """Offset of each sample's entries, and the end of the last sample's."""
    latents: Int32[np.ndarray, " m"]
    """Latent of each entry."""
    values: Float32[np.ndarray, " m"]
    """Pre-activation of each entry, or latent."""


class InactiveTopK(NamedTuple):
    """The k inactive latents of largest magnitude, for each sample."""

    latents: Int32[np.ndarray, "b k"]
    """Indices of the latents."""
    signs: Float32[np.ndarray, "b k"]
    """Signs of their pre-activations."""
    totals: Float32[np.ndarray, " b"]
    """Sums of the magnitudes of their pre-activations."""


class TopKSelector(Protocol):
    """A function that selects the k largest pre-activations of each sample."""

    def __call__(
        self,
        encoder: Float[Tensor, "n d"],
        bias: Float[Tensor, " n"],
        centered: Float[Tensor, "b d"],
        k: int,
    ) -> ActiveEntries:
        """Select the k largest pre-activations of each sample, including negative ones."""
        ...


def rows_at_once(n: int) -> int:
    """Number of samples whose pre-activations are computed in one product, to bound memory.

    All selectors use this number, since a product's last bits depend on its shape.
    """
    return max(64, _MAX_PRE_ACTIVATIONS // n)


def pre_activations(
    encoder: Float[Tensor, "n d"], bias: Float[Tensor, " n"], centered: Float[Tensor, "b d"]
) -> Float32[np.ndarray, "b n"]:
    """Compute pre-activations into a buffer that the next call of this thread overwrites."""
    b, n = len(centered), len(encoder)
    # Allocating this much memory at each step would cost a tenth of the step.
    if getattr(_memory, "size", 0) < b * n:
        _memory.buffer, _memory.size = torch.empty(b * n), b * n
    return torch.addmm(bias, centered, encoder.t(), out=_memory.buffer[: b * n].view(b, n)).numpy()


def topk(
    encoder: Float[Tensor, "n d"], bias: Float[Tensor, " n"], centered: Float[Tensor, "b d"], k: int
) -> ActiveEntries:
    """Select the k largest pre-activations of each sample, including negative ones."""
    b, rows = len(centered), rows_at_once(len(encoder))
    latents, values = np.empty((b, k), np.int32), np.empty((b, k), np.float32)
    for first in range(0, b, rows):
        part = slice(first, first + rows)
        pre = pre_activations(encoder, bias, centered[part])
        keep_largest(pre, k, latents[part], values[part])
    return ActiveEntries(equal_offsets(k, b), latents.reshape(-1), values.reshape(-1))


def topk_and_inactive(
    sae: "SAE", centered: Float[Tensor, "b d"], k: int
) -> tuple[ActiveEntries, InactiveTopK]:
    """Select the k largest pre-activations of each sample and the k largest other magnitudes."""
    b, n, rows = len(centered), len(sae.encoder), rows_at_once(len(sae.encoder))
    n_inactive = min(k, n - k)
    latents, values = np.empty((b, k), np.int32), np.empty((b, k), np.float32)
    inactive, signs = np.empty((b, n_inactive), np.int32), np.empty((b, n_inactive), np.float32)
    totals = np.empty(b, np.float32)
    for first in range(0, b, rows):
        part = slice(first, first + rows)
        pre = pre_activations(sae.encoder, sae.encoder_bias, centered[part])
        keep_largest(pre, k, latents[part], values[part])
        totals[part] = keep_largest_excluding(
            pre, latents[part], n_inactive, inactive[part], signs[part]
        )
    fired = ActiveEntries(equal_offsets(k, b), latents.reshape(-1), values.reshape(-1))
    return fired, InactiveTopK(inactive, signs, totals)


def batch_topk(sae: "SAE", centered: Float[Tensor, "b d"], k: int) -> ActiveEntries:
    """Select the positive ones among the k·b largest pre-activations of the batch."""
    pre = pre_activations(sae.encoder, sae.encoder_bias, centered)
    b, n = pre.shape
    at, values = np.empty((1, k * b), np.int32), np.empty((1, k * b), np.float32)
    keep_largest(pre.reshape(1, -1), k * b, at, values)
    at, values = at[0][values[0] > 0], values[0][values[0] > 0]
    return ActiveEntries(np.searchsorted(at, np.arange(b + 1) * n), at % np.int32(n), values)


def above(pre: Float32[np.ndarray, "b n"], threshold: Float32[np.ndarray, " n"]) -> ActiveEntries:
    """Select all pre-activations above each latent's threshold."""
    offsets = np.zeros(len(pre) + 1, np.int64)
    np.cumsum(count_above(pre, threshold), out=offsets[1:])
    latents, values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    keep_above(pre, threshold, offsets, latents, values)
    return ActiveEntries(offsets, latents, values)


def nonzero(latents: Float32[np.ndarray, "b n"]) -> ActiveEntries:
    """Select the latents that are not zero."""
    samples, at = np.nonzero(latents)
    offsets = np.searchsorted(samples, np.arange(len(latents) + 1))
    return ActiveEntries(offsets, at.astype(np.int32), latents[samples, at])


def equal_offsets(k: int, b: int) -> Int64[np.ndarray, " b+1"]:
    """Offsets of b samples with k entries each."""
    return np.arange(0, b * k + 1, k, dtype=np.int64)
