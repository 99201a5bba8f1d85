"""Which latents fire on a batch, and how strongly: the entries that carry all gradients."""

import threading
from typing import NamedTuple, Protocol

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
from seedstability.dictionaries.sae import SAE

_NUMBERS_AT_ONCE = 1 << 24
"""64 MB of pre-activations: more at once is no faster, less is (at 32,768 latents by a fifth)."""
_memory = threading.local()


class ActiveEntries(NamedTuple):
    """The m latents that fired on a batch of b samples, sample after sample, ascending in each."""

    offsets: Int64[np.ndarray, " b+1"]
    """Where each sample's entries begin, and the end of the last one's."""
    latents: Int32[np.ndarray, " m"]
    """Their columns."""
    values: Float32[np.ndarray, " m"]
    """Their pre-activations."""


class InactiveTopK(NamedTuple):
    """The k latents of largest magnitude among those that did not fire, for each sample."""

    latents: Int32[np.ndarray, "b k"]
    """Their columns."""
    signs: Float32[np.ndarray, "b k"]
    """Signs of their pre-activations."""
    totals: Float32[np.ndarray, " b"]
    """Their summed magnitudes."""


class TopKSelector(Protocol):
    """A way to find the k largest pre-activations of each sample."""

    def __call__(
        self,
        encoder: Float[Tensor, "n d"],
        bias: Float[Tensor, " n"],
        centered: Float[Tensor, "b d"],
        k: int,
    ) -> ActiveEntries:
        """Those of each sample, negative ones too."""
        ...


def rows_at_once(n: int) -> int:
    """Samples whose pre-activations are computed together, so that memory is bounded.

    One rule for every way to find what fires: a product's last bits depend on its shape.
    """
    return max(64, _NUMBERS_AT_ONCE // n)


def pre_activations(
    encoder: Float[Tensor, "n d"], bias: Float[Tensor, " n"], centered: Float[Tensor, "b d"]
) -> Float32[np.ndarray, "b n"]:
    """What the activation function sees of the samples, in memory that the next call of this
    thread uses again."""
    b, n = len(centered), len(encoder)
    # Fresh pages for so much memory at each step would cost a tenth of the step.
    if getattr(_memory, "size", 0) < b * n:
        _memory.numbers, _memory.size = torch.empty(b * n), b * n
    return torch.addmm(bias, centered, encoder.t(), out=_memory.numbers[: b * n].view(b, n)).numpy()


def topk(
    encoder: Float[Tensor, "n d"], bias: Float[Tensor, " n"], centered: Float[Tensor, "b d"], k: int
) -> ActiveEntries:
    """The k largest pre-activations of each sample, negative ones too."""
    b, rows = len(centered), rows_at_once(len(encoder))
    latents, values = np.empty((b, k), np.int32), np.empty((b, k), np.float32)
    for first in range(0, b, rows):
        part = slice(first, first + rows)
        pre = pre_activations(encoder, bias, centered[part])
        keep_largest(pre, k, latents[part], values[part])
    return ActiveEntries(equal_offsets(k, b), latents.reshape(-1), values.reshape(-1))


def topk_and_inactive(
    sae: SAE, centered: Float[Tensor, "b d"], k: int
) -> tuple[ActiveEntries, InactiveTopK]:
    """The k largest pre-activations of each sample, and the k largest magnitudes besides."""
    b, n, rows = len(centered), len(sae.encoder), rows_at_once(len(sae.encoder))
    besides = min(k, n - k)
    latents, values = np.empty((b, k), np.int32), np.empty((b, k), np.float32)
    inactive, signs = np.empty((b, besides), np.int32), np.empty((b, besides), np.float32)
    totals = np.empty(b, np.float32)
    for first in range(0, b, rows):
        part = slice(first, first + rows)
        pre = pre_activations(sae.encoder, sae.encoder_bias, centered[part])
        keep_largest(pre, k, latents[part], values[part])
        totals[part] = keep_largest_excluding(
            pre, latents[part], besides, inactive[part], signs[part]
        )
    fired = ActiveEntries(equal_offsets(k, b), latents.reshape(-1), values.reshape(-1))
    return fired, InactiveTopK(inactive, signs, totals)


def batch_topk(sae: SAE, centered: Float[Tensor, "b d"], k: int) -> ActiveEntries:
    """The k·b largest pre-activations of the batch, those above zero."""
    pre = pre_activations(sae.encoder, sae.encoder_bias, centered)
    b, n = pre.shape
    at, values = np.empty((1, k * b), np.int32), np.empty((1, k * b), np.float32)
    keep_largest(pre.reshape(1, -1), k * b, at, values)
    at, values = at[0][values[0] > 0], values[0][values[0] > 0]
    return ActiveEntries(np.searchsorted(at, np.arange(b + 1) * n), at % np.int32(n), values)


def above(pre: Float32[np.ndarray, "b n"], threshold: Float32[np.ndarray, " n"]) -> ActiveEntries:
    """All pre-activations above a threshold for each latent."""
    offsets = np.zeros(len(pre) + 1, np.int64)
    np.cumsum(count_above(pre, threshold), out=offsets[1:])
    latents, values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    keep_above(pre, threshold, offsets, latents, values)
    return ActiveEntries(offsets, latents, values)


def equal_offsets(k: int, b: int) -> Int64[np.ndarray, " b+1"]:
    """Where b samples' entries begin that have k each."""
    return np.arange(0, b * k + 1, k, dtype=np.int64)
