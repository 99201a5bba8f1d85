"""Whether latents follow the frequencies of (a + b) mod p.

A transformer that has learnt modular addition computes with a few frequencies f of the sum
(Nanda et al., 2301.05217): its logits are sums of cos(2πf (a + b − c) / p). Three measures:

- `fourier_concentration` of what latents *do*: the largest share of a latent's variance over
  samples that one frequency holds;
- `decoder_concentration` of what they *write*: the largest share of a decoder row that lies in
  the plane in which the activations themselves carry one frequency;
- `naive_fourier_overlap`, 001's, which compares decoder rows with sines by coordinate number.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seedstability.errors import UserError

_LINE = 0.1
"""Amplitude of a plane's short axis, as a share of the long one's, below which it is noise."""


def fourier_concentration(
    values: Float[Tensor, "m n"], sums: Int[Tensor, " m"], p: int = 113
) -> Float[Tensor, " n"]:
    """Largest share of each column's total variance held by one frequency of the sum.

    For each frequency f in 1 … (p−1)/2 a column is regressed on cos(2πfs/p) and sin(2πfs/p), s the
    sum; the share is that regression's R². Total variance includes what does not depend on
    the sum at all.

    Args:
        values: latents, logits or projections, one row for each pair (a, b).
        sums: (a + b) mod p of each row.
        p: the modulus, an odd number.

    Returns:
        A number in [0, 1] for each column; NaN for a column that does not vary.

    Raises:
        UserError: for sums that do not fit.
    """
    waves, explained = _explained(values, sums, p)
    held = (waves * explained).sum(1)
    total = _centred(values).square().sum(0)
    share = held.amax(0) / total
    return torch.where(total > 0, share.clamp(0, 1), torch.nan)


def concentration_by_chance(
    x: Float[Tensor, "m d"],
    firing_rate: Float[Tensor, " n"],
    sums: Int[Tensor, " m"],
    generator: torch.Generator,
    p: int = 113,
) -> Float[Tensor, " n"]:
    """`fourier_concentration` of latents that read random directions as often as ours fire.

    Each reads one direction of activation space, uniform on the sphere, and is a ReLU with
    the threshold that lets it fire on `firing_rate` of the samples; NaN where that is 0.
    """
    m, d = x.shape
    directions = torch.randn(d, len(firing_rate), generator=generator)
    read = (directions / directions.norm(dim=0)).t() @ _centred(x).t()
    fires = (firing_rate * m).round().long().clamp(0, m - 1)
    # NumPy sorts the rows with vector instructions, some ten times as fast as torch.
    ascending = torch.from_numpy(np.sort(read.numpy(), axis=1))
    highest_silent = ascending.gather(1, (m - 1 - fires)[:, None])
    return fourier_concentration(read.sub_(highest_silent).relu_().t().contiguous(), sums, p)


def frequency_planes(
    x: Float[Tensor, "m d"], sums: Int[Tensor, " m"], p: int = 113
) -> Float[Tensor, "f 2 d"]:
    """For each frequency an orthonormal basis of the plane in which `x` carries it.

    The plane is spanned by the coefficients of x on cosine and sine of that frequency. It exists
    for each frequency, also those the subject does not use; there its place is an accident. Where
    x carries a frequency in one phase alone there is a line, and the second row is zeros.
    """
    _, coefficients = _explained(x, sums, p)
    _, lengths, axes = torch.linalg.svd(coefficients, full_matrices=False)
    is_plane = lengths[:, 1] > _LINE * lengths[:, 0]
    axes[:, 1] *= is_plane[:, None]
    return axes.float()


def decoder_concentration(
    decoder: Float[Tensor, "n d"], planes: Float[Tensor, "f 2 d"]
) -> Float[Tensor, " n"]:
    """Largest share of each decoder row's squared length that lies in one frequency's plane.

    Returns:
        A number in [0, 1] for each row. Chance: the same of random directions with the covariance
        of the activations (`decoder_concentration_by_chance`). Positive control: the
        mean activations of the p answers, which a subject that adds writes with its frequencies.
    """
    return torch.einsum("nd,fwd->nfw", _unit(decoder), planes).square().sum(2).amax(1)


def decoder_concentration_by_chance(
    x: Float[Tensor, "m d"], planes: Float[Tensor, "f 2 d"], n: int, generator: torch.Generator
) -> Float[Tensor, " n"]:
    """`decoder_concentration` of `n` random directions with the covariance of `x`."""
    mixing = torch.randn(n, len(x), generator=generator) / math.sqrt(len(x))
    return decoder_concentration(mixing @ _centred(x), planes)


def answer_means(x: Float[Tensor, "m d"], sums: Int[Tensor, " m"], p: int) -> Float[Tensor, "p d"]:
    """Mean activation of each answer, less the mean of those means."""
    return _centred(_totals(x, sums, p) / _counts(sums, p)[:, None])


def naive_fourier_overlap(decoder: Float[Tensor, "n d"], p: int = 113) -> float:
    """001's overlap: each row's first p coordinates against sines and cosines over 0 … p − 1.

    The signed maximum over cos(2πkx/p) and sin(2πkx/p), k in 0 … p − 1, averaged over rows; rows
    shorter than p are filled up with zeros (src/analysis/fourier_validation.py,
    `compute_fourier_overlap`, in the public repository brightlikethelight/HUSAI). Coordinates of
    the residual stream have nothing to do with tokens: directions drawn at random reach
    0.254 ± 0.003 at d = 128 and p = 113.
    """
    n, d = decoder.shape
    rows = torch.zeros(n, p)
    rows[:, : min(d, p)] = decoder[:, :p]
    k = torch.arange(p, dtype=torch.float64)
    angles = 2 * math.pi * torch.outer(k, k) / p
    basis = _unit(torch.cat([angles.cos(), angles.sin()])).float()
    return (_unit(rows) @ basis.t()).amax(1).mean().item()


def naive_overlap_by_chance(
    n: int, d: int, draws: int, generator: torch.Generator, p: int = 113
) -> tuple[float, float]:
    """Mean of `naive_fourier_overlap` over drawn isotropic dictionaries, and its spread."""
    drawn = [naive_fourier_overlap(torch.randn(n, d, generator=generator), p) for _ in range(draws)]
    return float(np.mean(drawn)), float(np.std(drawn, ddof=1)) if draws > 1 else 0.0


def summed(pairs: Int[Tensor, "m 2"], p: int) -> Int[Tensor, " m"]:
    """(a + b) mod p of each pair."""
    return pairs.sum(1) % p


def _explained(
    values: Float[Tensor, "m n"], sums: Int[Tensor, " m"], p: int
) -> tuple[Float[Tensor, "f 2 n"], Float[Tensor, "f 2 n"]]:
    """Each frequency's products with the columns, and its regression coefficients."""
    if len(sums) != len(values) or sums.min() < 0 or sums.max() >= p:
        raise UserError(f"{len(values)} rows and {len(sums)} sums; need one in 0…{p - 1} for each")
    frequencies = torch.arange(1, (p - 1) // 2 + 1, dtype=torch.float64)
    angles = 2 * math.pi * torch.outer(frequencies, torch.arange(p).double()) / p
    weights = _counts(sums, p).double()
    waves = torch.stack([angles.cos(), angles.sin()], dim=1)
    # Samples may hold one sum more often than another, so waves have means to take off.
    waves = waves - (waves @ weights / weights.sum())[..., None]
    totals = _totals(_centred(values), sums, p).double()
    products = (waves.flatten(0, 1) @ totals).unflatten(0, (-1, 2))
    gram = torch.einsum("fvp,p,fwp->fvw", waves, weights, waves)
    return products, torch.linalg.solve(gram, products)


def _totals(values: Float[Tensor, "m n"], sums: Int[Tensor, " m"], p: int) -> Float[Tensor, "p n"]:
    """The rows of each sum, added up."""
    counts = _counts(sums, p)
    starts = counts.cumsum(0) - counts
    return torch.nn.functional.embedding_bag(sums.argsort(stable=True), values, starts, mode="sum")


def _counts(sums: Int[Tensor, " m"], p: int) -> Int[Tensor, " p"]:
    return torch.bincount(sums, minlength=p)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(0)


def _unit(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    return torch.nn.functional.normalize(rows, dim=-1)


def finite_mean(values: Float[Tensor, " n"], where: Bool[Tensor, " n"] | None = None) -> float:
    """Mean over the entries that are numbers, and inside `where`; NaN if there are none."""
    keep = ~values.isnan() if where is None else ~values.isnan() & where
    return values[keep].double().mean().item()
