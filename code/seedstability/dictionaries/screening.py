"""Screened TopK: bfloat16 products select candidates, with the same bits as the exact path.

The active latents of a centered sample x are the k of largest pre-activation p_j, where p_j is the
float32 number that `sparse_latents.topk` computes for x·E_j + e_j. Here the products of all pairs
are computed in bfloat16, which is seven times as fast on processors with AMX, and p_j only for the
candidates.

**Bound.** Write γ_m(u) = mu/(1 − mu). A sum of m products in any order, each operation rounded
with relative error u, is off by at most γ_m(u) Σ|x_i y_i| ≤ γ_m(u) |x||y| (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., §3.1; Cauchy–Schwarz). Let x̃ and Ẽ_j be x and E_j
rounded to bfloat16 and a_j their computed product: summed in float32, with u₁ = 2^-23 to cover
units that truncate, then rounded to bfloat16. With the *measured* residuals
r ≥ |x − x̃|, R_j ≥ |E_j − Ẽ_j|, lengths X ≥ |x|, N_j ≥ |E_j|, γ₁ = γ_{d+2}(2^-23) and
γ₀ = γ_{d+2}(2^-24):

    |x·E_j − x̃·Ẽ_j|           ≤ r N_j + (X + r) R_j
    summing x̃·Ẽ_j             ≤ γ₁ (X + r)(N_j + R_j)
    rounding that to bfloat16 ≤ 2^-8 |a_j| (1 + 2^-6)          (an ulp; half of it if to nearest)
    |x·E_j + e_j − p_j|       ≤ γ₀ (X N_j + |e_j|),

together |a_j + e_j − p_j| ≤ A N_j + B R_j + 2^-8 (1 + 2^-6) |a_j| + γ₀|e_j| with
A = r + (γ₁ + γ₀)(X + r) and B = (1 + γ₁)(X + r). This is evaluated in float32 too. Lengths, which
are sums of d squares, are raised by a factor 1 + γ_{d+8}(2^-24) and by 2^-52, more
than underflow takes from d < 2^20 squares; the rest by a factor 1 + 2^-20 and by 2^-100. So p_j is
at most U_j, the sum of a_j, e_j and the margin.

**Screen.** Take at least k latents and let T be the k-th largest of their p_j. At least k latents
have p_j ≥ T, so a latent with U_j < T is not among the k largest. It is enough to compute p_j where
U_j ≥ T. The latents of largest U_j give a good T.

**The same bits.** Pre-activations at the edge of the k largest are often closer than γ₀ allows
to tell apart (at d = 768 in 4 to 21 of 100 samples, so in every chunk). Which one the exact
path keeps then depends on its order of summation. MKL starts from the bias and adds the sums of
blocks of products; each block is a chain of fused multiply-adds. The p_j are computed in this order
here, and *equal* the exact path's to the bit. The order is not documented: `summation_block` finds
the block length by trial for each shape, and compares all entries of a product. The assumption is
that the order does not depend on the numbers. If no length gives all bits, the exact path is run on
the same chunk of samples.
"""

import math
import threading
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import BFloat16, Float, Float32, Int16, Int32
from torch import Tensor

from seedstability.dictionaries.kernels.screening import keep_screened, rescore_all, round_rows
from seedstability.dictionaries.sparse_latents import (
    ActiveEntries,
    equal_offsets,
    pre_activations,
    rows_at_once,
    topk,
)

_HALF_ULP, _ULP = 2.0**-24, 2.0**-23
_OUTWARD, _TINY = 1 + 2.0**-20, 2.0**-100
_LINE = 64
"""Bytes of a cache line. MKL may choose another code path for an unaligned matrix."""
_FEW = 64
"""Pre-activations on which a block length is tried before all entries are compared."""


class Rounded(NamedTuple):
    """Vectors rounded to bfloat16, with upper bounds of their lengths and rounding errors."""

    rows: BFloat16[Tensor, "m d"]
    """The rounded vectors."""
    lengths: Float32[np.ndarray, " m"]
    """Upper bound of each vector's length before rounding."""
    residuals: Float32[np.ndarray, " m"]
    """Upper bound of the length of each vector's rounding error."""


def rounded(matrix: Float[Tensor, "m d"], out: BFloat16[Tensor, "m d"]) -> Rounded:
    """Round each row of a matrix to bfloat16, into `out`."""
    m, d = matrix.shape
    lengths, residuals = np.empty((2, m), np.float32)
    words, short = matrix.view(torch.int32).numpy(), out.view(torch.int16).numpy()
    round_rows(matrix.numpy(), words, short, lengths, residuals)
    factor, more = np.float32((1 + _gamma(d + 8, _HALF_ULP)) * _OUTWARD), np.float32(2.0**-52)
    return Rounded(out, lengths * factor + more, residuals * factor + more)


class Bounds(NamedTuple):
    """Parts of the upper bounds U of all pairs of a sample and a latent."""

    products: Int16[np.ndarray, "b n"]
    """Bits of a."""
    factors: tuple[Float32[np.ndarray, " b"], Float32[np.ndarray, " b"]]
    """Each sample's A and B."""
    latents: tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]
    """Each latent's N, R, and e plus its margin."""

    def of_samples(self, part: slice) -> "Bounds":
        """Bounds of a slice of the samples."""
        by_length, by_residual = self.factors
        return Bounds(self.products[part], (by_length[part], by_residual[part]), self.latents)


def bounds(
    products: BFloat16[Tensor, "b n"],
    samples: Rounded,
    latents: Rounded,
    bias: Float32[np.ndarray, " n"],
) -> Bounds:
    """Compute the upper bounds for products of rounded samples and latents."""
    d = samples.rows.shape[1]
    low, full = _gamma(d + 2, _ULP), _gamma(d + 2, _HALF_ULP)
    whole = samples.lengths.astype(np.float64) + samples.residuals
    by_length = _OUTWARD * (samples.residuals + (low + full) * whole)
    by_residual = _OUTWARD * (1 + low) * whole
    exact = bias.astype(np.float64)
    raised = exact + (full + _OUTWARD - 1) * np.abs(exact) + _TINY
    return Bounds(
        products.view(torch.int16).numpy(),
        (by_length.astype(np.float32), by_residual.astype(np.float32)),
        (latents.lengths, latents.residuals, raised.astype(np.float32)),
    )


@cache
def summation_block(
    rows: int, n: int, d: int, offsets: tuple[int, int, int], threads: int, precision: str
) -> int | None:
    """Find the block length in which a product [rows, d] x [d, n] is summed.

    Args:
        rows, n, d: the shape.
        offsets: bytes of encoder, bias and samples from a cache line.
        threads: torch's number of threads.
        precision: torch's precision of float32 products.

    Returns:
        None if no length gives all bits of the product.
    """
    generator = torch.Generator().manual_seed(0)
    shapes = ((n, d), (n,), (rows, d))
    trial = [_normal(*pair, generator) for pair in zip(shapes, offsets, strict=True)]
    encoder, bias, centered = (tensor.numpy() for tensor in trial)
    exact, found = pre_activations(*trial), np.empty((rows, n), np.float32)
    few, narrow = min(_FEW, n), found[:, : min(_FEW, n)]
    for block in range(d, 0, -1):
        rescore_all(centered[:1], encoder, bias, block, few, narrow[:1])
        if not np.array_equal(narrow[:1], exact[:1, :few]):
            continue
        rescore_all(centered, encoder, bias, block, n, found)
        if np.array_equal(found, exact):
            return block
    return None


def _normal(shape: tuple[int, ...], offset: int, generator: torch.Generator) -> Tensor:
    """Draw normal numbers into memory `offset` bytes from a cache line."""
    size, skip = math.prod(shape), offset // 4
    return torch.randn(size + skip, generator=generator)[skip:].view(shape)


def _gamma(m: int, unit: float) -> float:
    return m * unit / (1 - m * unit)


def _is_contiguous_float32(tensor: Tensor) -> bool:
    return tensor.is_contiguous() and tensor.dtype == torch.float32


class ScreenedTopK:
    """Drop-in replacement for `sparse_latents.topk`: screens in bfloat16, returns the same bits.

    Faster on processors with AMX or AVX-512 bfloat16, unless `ONEDNN_MAX_CPU_ISA` forbids these.
    Each thread keeps buffers for the shapes of its last call.
    """

    def __init__(self) -> None:
        self.rows = 0
        """Number of samples processed."""
        self.undecided_rows = 0
        """Number of samples left to the exact path."""
        self.candidates = 0
        """Number of entries rescored for the other samples."""
        self._memory = threading.local()
        self._counting = threading.Lock()

    def __call__(
        self,
        encoder: Float[Tensor, "n d"],
        bias: Float[Tensor, " n"],
        centered: Float[Tensor, "b d"],
        k: int,
    ) -> ActiveEntries:
        """Select the k largest pre-activations of each sample, including negative ones."""
        b, rows = len(centered), rows_at_once(len(encoder))
        kept, values = np.empty((b, k), np.int32), np.empty((b, k), np.float32)
        margins = None
        if all(map(_is_contiguous_float32, (encoder, bias, centered))):
            margins = self._bounds(encoder, bias, centered)
        for first in range(0, b, rows):
            part = slice(first, min(first + rows, b))
            pair = encoder, bias, centered[part]
            if margins is None or not self._screen(
                margins.of_samples(part), pair, kept[part], values[part]
            ):
                exact = topk(*pair, k)
                kept[part], values[part] = exact.latents.reshape(-1, k), exact.values.reshape(-1, k)
                self._count(undecided_rows=part.stop - part.start)
        self._count(rows=b)
        return ActiveEntries(equal_offsets(k, b), kept.reshape(-1), values.reshape(-1))

    def _bounds(
        self,
        encoder: Float[Tensor, "n d"],
        bias: Float[Tensor, " n"],
        centered: Float[Tensor, "b d"],
    ) -> Bounds:
        latents = rounded(encoder, self._take("latents", len(encoder), encoder.shape[1]))
        samples = rounded(centered, self._take("samples", *centered.shape))
        products = self._take("products", len(centered), len(encoder))
        torch.mm(samples.rows, latents.rows.t(), out=products)
        return bounds(products, samples, latents, bias.numpy())

    def _screen(
        self,
        margins: Bounds,
        pair: tuple[Tensor, Tensor, Tensor],
        kept: Int32[np.ndarray, "b k"],
        values: Float32[np.ndarray, "b k"],
    ) -> bool:
        """Fill `kept` and `values`; returns False if the exact path is needed."""
        encoder, bias, centered = pair
        at = (encoder.data_ptr() % _LINE, bias.data_ptr() % _LINE, centered.data_ptr() % _LINE)
        set_to = torch.get_num_threads(), torch.get_float32_matmul_precision()
        block = summation_block(len(centered), *encoder.shape, at, *set_to)
        if block is None:
            return False
        exact = centered.numpy(), encoder.numpy(), bias.numpy(), block
        rescored = keep_screened(
            margins.products, margins.factors, margins.latents, exact, kept.shape[1], kept, values
        )
        self._count(candidates=max(rescored, 0))
        return rescored >= 0

    def _count(self, **more: int) -> None:
        with self._counting:
            for name, number in more.items():
                setattr(self, name, getattr(self, name) + number)

    def _take(self, name: str, m: int, d: int) -> BFloat16[Tensor, "m d"]:
        """Reuse this thread's buffer; allocating a new one costs time."""
        mine = vars(self._memory)
        if name not in mine or mine[name].shape != (m, d):
            mine[name] = torch.empty(m, d, dtype=torch.bfloat16)
        return mine[name]
