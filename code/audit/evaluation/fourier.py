"""Fourier measures of dictionaries trained on modular addition.

A transformer that has learned modular addition computes with a few frequencies f of the sum
(Nanda et al., 2301.05217): its logits are sums of cos(2πf (a + b − c) / p). Three measures:

- `fourier_concentration` of activations: the largest share of a latent's variance over samples
  that one frequency explains;
- `decoder_concentration` of decoders: the largest share of a decoder row that lies in the plane
  in which the activations carry one frequency;
- `naive_fourier_overlap`, 001's, which compares decoder rows with sines by coordinate number.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.errors import UserError

_LINE = 0.1
"""A short axis of a plane below this share of the long one is treated as noise."""


def fourier_concentration(
    values: Float[Tensor, "m n"], sums: Int[Tensor, " m"], p: int = 113
) -> Float[Tensor, " n"]:
    """Compute the largest share of each column's variance explained by one frequency of the sum.

    For each frequency f in 1 … (p−1)/2 a column is regressed on cos(2πfs/p) and sin(2πfs/p), s the
    sum; the share is that regression's R². The total variance includes the part that does not
    depend on the sum.

    Args:
        values: latents, logits or projections, one row for each pair (a, b).
        sums: (a + b) mod p of each row.
        p: the modulus, an odd number.

    Returns:
        A number in [0, 1] for each column; NaN for a constant column.

    Raises:
        UserError: the number or range of the sums is wrong.
    """
    waves, explained = _explained(values, sums, p)
    held = (waves * explained).sum(1)
    total = _centered(values).square().sum(0)
    share = held.amax(0) / total
    return torch.where(total > 0, share.clamp(0, 1), torch.nan)


def fourier_concentration_by_chance(
    x: Float[Tensor, "m d"],
    firing_rate: Float[Tensor, " n"],
    sums: Int[Tensor, " m"],
    generator: torch.Generator,
    p: int = 113,
) -> Float[Tensor, " n"]:
    """Compute `fourier_concentration` of random latents with given firing rates.

    Each random latent reads one direction of activation space, uniform on the sphere. It is a ReLU
    with the threshold at which it fires on `firing_rate` of the samples; NaN where that is 0.
    """
    m, d = x.shape
    directions = torch.randn(d, len(firing_rate), generator=generator)
    read = (directions / directions.norm(dim=0)).t() @ _centered(x).t()
    fires = (firing_rate * m).round().long().clamp(0, m - 1)
    # NumPy sorts the rows with vector instructions, some ten times as fast as torch.
    ascending = torch.from_numpy(np.sort(read.numpy(), axis=1))
    highest_silent = ascending.gather(1, (m - 1 - fires)[:, None])
    return fourier_concentration(read.sub_(highest_silent).relu_().t().contiguous(), sums, p)


def frequency_planes(
    x: Float[Tensor, "m d"], sums: Int[Tensor, " m"], p: int = 113
) -> Float[Tensor, "f 2 d"]:
    """Compute for each frequency an orthonormal basis of the plane in which `x` carries it.

    The plane is spanned by the regression coefficients of x on cosine and sine of that frequency.
    It exists for every frequency; for those that the subject does not use it is arbitrary. Where x
    carries a frequency in one phase only, the plane is a line, and the second row is zeros.
    """
    _, coefficients = _explained(x, sums, p)
    _, lengths, axes = torch.linalg.svd(coefficients, full_matrices=False)
    is_plane = lengths[:, 1] > _LINE * lengths[:, 0]
    axes[:, 1] *= is_plane[:, None]
    return axes.float()


def decoder_concentration(
    decoder: Float[Tensor, "n d"], planes: Float[Tensor, "f 2 d"]
) -> Float[Tensor, " n"]:
    """Compute the largest share of each decoder row's squared length in one frequency's plane.

    Returns:
        A number in [0, 1] for each row. Chance: the same of random directions with the covariance
        of the activations (`decoder_concentration_by_chance`). Positive control: the mean
        activations of the p answers, which consist of the frequencies of a subject that adds.
    """
    return torch.einsum("nd,fwd->nfw", _unit(decoder), planes).square().sum(2).amax(1)


def decoder_concentration_by_chance(
    x: Float[Tensor, "m d"], planes: Float[Tensor, "f 2 d"], n: int, generator: torch.Generator
) -> Float[Tensor, " n"]:
    """Compute `decoder_concentration` of `n` random directions with the covariance of `x`."""
    mixing = torch.randn(n, len(x), generator=generator) / math.sqrt(len(x))
    return decoder_concentration(mixing @ _centered(x), planes)


def answer_means(x: Float[Tensor, "m d"], sums: Int[Tensor, " m"], p: int) -> Float[Tensor, "p d"]:
    """Compute the mean activation of each answer, centered over answers."""
    return _centered(_totals(x, sums, p) / _counts(sums, p)[:, None])


def naive_fourier_overlap(decoder: Float[Tensor, "n d"], p: int = 113) -> float:
    """Compute 001's overlap: cosines of each row's first p coordinates with sines and cosines.

    The signed maximum over cos(2πkx/p) and sin(2πkx/p), k and x in 0 … p − 1, averaged over rows;
    rows shorter than p are padded with zeros (src/analysis/fourier_validation.py,
    `compute_fourier_overlap`, in the public repository brightlikethelight/HUSAI). Coordinates of
    the residual stream do not correspond to tokens: random directions reach 0.254 ± 0.003 at
    d = 128 and p = 113.
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
    """Compute mean and standard deviation of `naive_fourier_overlap` of isotropic dictionaries."""
    drawn = [naive_fourier_overlap(torch.randn(n, d, generator=generator), p) for _ in range(draws)]
    return float(np.mean(drawn)), float(np.std(drawn, ddof=1)) if draws > 1 else 0.0


def sum_mod_p(pairs: Int[Tensor, "m 2"], p: int) -> Int[Tensor, " m"]:
    """Compute (a + b) mod p of each pair."""
    return pairs.sum(1) % p


def _explained(
    values: Float[Tensor, "m n"], sums: Int[Tensor, " m"], p: int
) -> tuple[Float[Tensor, "f 2 n"], Float[Tensor, "f 2 n"]]:
    """Compute each frequency's products with the columns, and its regression coefficients."""
    if len(sums) != len(values) or sums.min() < 0 or sums.max() >= p:
        raise UserError(f"{len(values)} rows and {len(sums)} sums; need one in 0…{p - 1} for each")
    frequencies = torch.arange(1, (p - 1) // 2 + 1, dtype=torch.float64)
    angles = 2 * math.pi * torch.outer(frequencies, torch.arange(p).double()) / p
    weights = _counts(sums, p).double()
    waves = torch.stack([angles.cos(), angles.sin()], dim=1)
    # Sums may occur with different frequencies in the samples, so waves are centered too.
    waves = waves - (waves @ weights / weights.sum())[..., None]
    totals = _totals(_centered(values), sums, p).double()
    products = (waves.flatten(0, 1) @ totals).unflatten(0, (-1, 2))
    gram = torch.einsum("fvp,p,fwp->fvw", waves, weights, waves)
    return products, torch.linalg.solve(gram, products)


def _totals(values: Float[Tensor, "m n"], sums: Int[Tensor, " m"], p: int) -> Float[Tensor, "p n"]:
    """Add up the rows of each sum."""
    counts = _counts(sums, p)
    starts = counts.cumsum(0) - counts
    return torch.nn.functional.embedding_bag(sums.argsort(stable=True), values, starts, mode="sum")


def _counts(sums: Int[Tensor, " m"], p: int) -> Int[Tensor, " p"]:
    return torch.bincount(sums, minlength=p)


def _centered(x: Tensor) -> Tensor:
    return x - x.mean(0)


def _unit(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    return torch.nn.functional.normalize(rows, dim=-1)


def finite_mean(values: Float[Tensor, " n"]) -> float:
    """Average the entries that are not NaN; NaN if there are none."""
    return values[~values.isnan()].double().mean().item()
