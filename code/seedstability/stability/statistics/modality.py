"""Has a distribution of cosines one mode or two? Two tests with rules fixed beforehand.

Hartigan's dip asks how far the sample is from the nearest distribution with one mode, whatever its
shape (Hartigan & Hartigan 1985). A mixture of two beta laws against one says whether two groups
describe it better (BIC), and whether their density really has a valley: two skewed groups
can lie over each other in a single mode. NumPy and SciPy only.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import optimize, special

VERY_STRONG = 10.0
"""A difference in BIC from which the evidence counts as very strong (Kass & Raftery 1995)."""
_BINS = 400
"""Cosines are counted in bins of 0.005 for the fits, so that their cost does not grow with n."""
_AS_LARGE = 1024
"""√n times the dip of a uniform sample grows a little with n and settles at some hundred (Hartigan
& Hartigan, table 1). Its quantiles are therefore drawn at the next power of two, at most this."""
_DRAWS = 1000
_SHAPE = (1.05, 400.0)
"""Bounds of the shape parameters. Above 1, a group has its mode inside; below, it would rise to
the ends of the range, where only a handful of cosines lie."""


@dataclass(frozen=True)
class BetaMixture:
    """One or two beta laws on (1 + cosine) / 2."""

    weights: tuple[float, ...]
    """Shares of the groups, the one with the lower mean first."""
    a: tuple[float, ...]
    """First shape parameters."""
    b: tuple[float, ...]
    """Second shape parameters."""
    bic: float
    """Bayesian information criterion; smaller is better."""

    @property
    def means(self) -> tuple[float, ...]:
        """Mean cosine of each group."""
        return tuple(2.0 * a / (a + b) - 1.0 for a, b in zip(self.a, self.b, strict=True))

    def density(self, u: Float[ndarray, "points"]) -> Float[ndarray, "points"]:
        """Of u = (1 + cosine) / 2."""
        return np.exp(_log_density(u, np.array(self.weights), np.array(self.a), np.array(self.b)))

    def shares(self, edges: Float[ndarray, "bins+1"]) -> Float[ndarray, "bins"]:
        """Probabilities of bins of cosines."""
        at = np.clip((1.0 + np.asarray(edges)[:, None]) / 2.0, 0.0, 1.0)
        return np.diff(special.betainc(self.a, self.b, at) @ np.array(self.weights))

    @property
    def valley(self) -> float:
        """Density at the bottom between the two modes over that at the lower mode; 1 if there is
        only one mode."""
        values = self.density(_CENTRES)
        inside = values[1:-1]
        peaks = np.flatnonzero((inside > values[:-2]) & (inside >= values[2:])) + 1
        if len(peaks) < 2:
            return 1.0
        first, last = peaks[0], peaks[-1]
        return float(values[first:last].min() / min(values[first], values[last]))


def dip(values: Float[ndarray, "n"]) -> float:
    """Largest distance between the sample's distribution function and the nearest unimodal one.

    The modal interval starts as the whole range. In it the distance between the greatest convex
    minorant and the least concave majorant is taken; it shrinks to the vertices about the largest
    one, until what is fitted outside is worse than what is left inside (Hartigan & Hartigan 1985).

    Args:
        values: at least two; equal ones are taken as next to each other.

    Raises:
        ValueError: for fewer, or for some that are not finite.
    """
    x = np.sort(np.asarray(values, dtype=float))
    n = len(x)
    if n < 2 or not np.isfinite(x).all():
        raise ValueError("the dip needs at least two values, all finite")
    # Slopes need a distance between neighbours.
    x = x + np.arange(n) * (1e-12 * max(1.0, np.abs(x).max()))
    rank = np.arange(1.0, n + 1.0)
    low, high, worst = 0, n - 1, 1.0
    while high > low:
        inside = slice(low, high + 1)
        below = _convex_minorant(x[inside], rank[inside] - 1.0)
        above = _concave_majorant(x[inside], rank[inside])
        gap = above - below
        place = int(gap.argmax())
        if gap[place] <= worst:
            break
        left = low + _last_touch(below[: place + 1], rank[low : low + place + 1] - 1.0)
        right = low + place + _first_touch(above[place:], rank[low + place : high + 1])
        outside = max(
            (rank[low : left + 1] - below[: left - low + 1]).max(),
            (above[right - low :] - rank[right : high + 1] + 1.0).max(),
        )
        worst = max(worst, float(outside))
        if (left, right) == (low, high):
            break
        low, high = left, right
    return worst / (2.0 * n)


def scaled_dip(values: Float[ndarray, "n"]) -> float:
    """√n times the dip, whose law for one flat mode does not depend on n."""
    return float(np.sqrt(len(values))) * dip(values)


def null_dips(n: int) -> Float[ndarray, "draws"]:
    """√n times the dip of uniform samples, the worst case of one mode; see `_AS_LARGE`."""
    return np.array(_null_dips(min(2 ** (n - 1).bit_length(), _AS_LARGE)))


@cache
def _null_dips(size: int) -> tuple[float, ...]:
    generator = np.random.default_rng(0)
    return tuple(scaled_dip(generator.random(size)) for _ in range(_DRAWS))


def dip_excess(values: Float[ndarray, "n"], level: float = 0.95) -> float:
    """√n times the dip, less what a flat mode stays below with probability `level`.

    Above zero the sample has more than one mode, by a test at 1 − `level`.
    """
    return scaled_dip(values) - float(np.quantile(null_dips(len(values)), level))


def dip_p_value(values: Float[ndarray, "n"]) -> float:
    """p-value of one mode: (1 + flat samples that dip as far) / (1 + flat samples)."""
    null = null_dips(len(values))
    return float((1 + (null >= scaled_dip(values)).sum()) / (1 + len(null)))


def detectable_separation(
    n: int, power: float = 0.8, draws: int = 100, seed: int = 0, share: float = 0.5
) -> float:
    """How far two normal groups must lie apart, in their sd, for the dip to find them.

    Below 2 an equal mixture has a single mode, and nothing is to be found.

    Args:
        n: values in a sample; above some thousand, as if there were that many.
        power: share of the samples in which `dip_excess` is above zero.
        draws: samples at each distance.
        seed: draws them.
        share: of the lower group.

    Returns:
        The first of the distances 2, 2.1, 2.2, … that is found so often, at most 6.
    """
    generator = np.random.default_rng(seed)
    size = min(n, _AS_LARGE)
    for distance in np.arange(2.0, 6.0, 0.1):
        found = 0
        for _ in range(draws):
            upper = generator.random(size) >= share
            found += dip_excess(generator.standard_normal(size) + distance * upper) > 0
        if found >= power * draws:
            return float(distance)
    return 6.0


def beta_mixture(cosines: Float[ndarray, "n"], groups: int) -> BetaMixture:
    """Maximum-likelihood fit of one or two beta laws, from counts in bins.

    Raises:
        ValueError: without cosines, for some that are not finite, or another number of groups.
    """
    values = np.asarray(cosines, dtype=float)
    if groups not in (1, 2) or values.size == 0 or not np.isfinite(values).all():
        raise ValueError("a mixture of 1 or 2 laws needs cosines, all finite")
    counts, _ = np.histogram(np.clip((1.0 + values) / 2.0, 0.0, 1.0), _BINS, (0.0, 1.0))

    def loss(at: ndarray) -> float:
        return -float(counts @ _log_density(_CENTRES, *_parameters(at, groups))) / values.size

    low, high = np.log(_SHAPE)
    bounds = [(low, high)] * (2 * groups) + [(-6.0, 6.0)] * (groups - 1)
    fits = [
        optimize.minimize(
            loss, np.clip(at, *np.transpose(bounds)), method="L-BFGS-B", bounds=bounds
        )
        for at in _starts(counts, groups)
    ]
    best = min(fits, key=lambda fit: fit.fun)
    weights, a, b = _parameters(best.x, groups)
    order = np.argsort(a / (a + b))
    return BetaMixture(
        tuple(weights[order].tolist()),
        tuple(a[order].tolist()),
        tuple(b[order].tolist()),
        bic=2.0 * values.size * float(best.fun) + (3 * groups - 1) * float(np.log(values.size)),
    )


_CENTRES = (np.arange(_BINS) + 0.5) / _BINS


def _log_density(u: ndarray, weights: ndarray, a: ndarray, b: ndarray) -> ndarray:
    u = u[:, None]
    each = (a - 1) * np.log(u) + (b - 1) * np.log1p(-u) - special.betaln(a, b)
    return special.logsumexp(each + np.log(weights), axis=1)


def _parameters(at: ndarray, groups: int) -> tuple[ndarray, ndarray, ndarray]:
    shapes = np.exp(at[: 2 * groups])
    upper = special.expit(at[2 * groups :])
    weights = np.concatenate([1.0 - upper, upper]) if groups == 2 else np.ones(1)
    return weights, shapes[:groups], shapes[groups:]


def _starts(counts: ndarray, groups: int) -> list[ndarray]:
    """Moments of the whole, or of what lies below and above each of three quantiles."""
    if groups == 1:
        return [np.log(_moments(counts))]
    reached = counts.cumsum() / counts.sum()
    starts = []
    for share in (0.3, 0.5, 0.7):
        cut = int(np.searchsorted(reached, share)) + 1
        low, high = counts.copy(), counts.copy()
        low[cut:], high[:cut] = 0, 0
        (a_low, b_low), (a_high, b_high) = _moments(low), _moments(high)
        at = np.log([a_low, a_high, b_low, b_high])
        starts.append(np.concatenate([at, [special.logit(1.0 - share)]]))
    return starts


def _moments(counts: ndarray) -> tuple[float, float]:
    """Shape parameters with the mean and variance of binned values."""
    total = max(counts.sum(), 1)
    mean = (counts @ _CENTRES + 0.5 / _BINS) / total if counts.any() else 0.5
    variance = max(counts @ (_CENTRES - mean) ** 2 / total, 1e-4)
    mean = float(np.clip(mean, 0.01, 0.99))
    size = max(mean * (1 - mean) / variance - 1, 2.5)
    return mean * size, (1 - mean) * size


def _convex_minorant(x: ndarray, y: ndarray) -> ndarray:
    """Greatest convex function below the points: its slopes are an isotonic regression."""
    width = np.diff(x)
    slopes = optimize.isotonic_regression(np.diff(y) / width, weights=width).x
    return y[0] + np.concatenate([[0.0], np.cumsum(slopes * width)])


def _concave_majorant(x: ndarray, y: ndarray) -> ndarray:
    return -_convex_minorant(x, -y)


def _last_touch(curve: ndarray, points: ndarray) -> int:
    touching = np.flatnonzero(np.abs(curve - points) < 1e-6)
    return int(touching[-1]) if len(touching) else 0


def _first_touch(curve: ndarray, points: ndarray) -> int:
    touching = np.flatnonzero(np.abs(curve - points) < 1e-6)
    return int(touching[0]) if len(touching) else len(curve) - 1
