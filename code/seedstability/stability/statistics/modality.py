"""Unimodal or bimodal cosines: Hartigan's dip test and beta mixtures, with rules fixed in advance.

Hartigan's dip is the distance from the sample to the nearest unimodal distribution of any shape
(Hartigan & Hartigan 1985). Comparing a mixture of two beta distributions with one shows whether two
groups fit better (BIC), and whether their density has a valley: two skewed groups can overlap in a
single mode.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import optimize, special

_BINS = 400
"""Fits use counts in bins of 0.005, so that their cost does not grow with n."""
_MAX_NULL_SIZE = 1024
"""√n times the dip of a uniform sample grows slightly with n and converges at a few hundred
(Hartigan & Hartigan, table 1). The null is thus sampled at the next power of two, at most this."""
_DRAWS = 1000
_SHAPE = (1.05, 400.0)
"""Bounds of the shape parameters. Above 1, a group has an interior mode; below, its density would
rise at the ends of the range, where few cosines lie."""


@dataclass(frozen=True)
class BetaMixture:
    """One or two beta distributions of (1 + cosine) / 2."""

    weights: tuple[float, ...]
    """Shares of the groups, lower mean first."""
    a: tuple[float, ...]
    """First shape parameters."""
    b: tuple[float, ...]
    """Second shape parameters."""
    bic: float
    """Bayesian information criterion; lower is better."""

    @property
    def means(self) -> tuple[float, ...]:
        """Mean cosine of each group."""
        return tuple(2.0 * a / (a + b) - 1.0 for a, b in zip(self.a, self.b, strict=True))

    def density(self, u: Float[ndarray, " points"]) -> Float[ndarray, " points"]:
        """Density of u = (1 + cosine) / 2."""
        return np.exp(_log_density(u, np.array(self.weights), np.array(self.a), np.array(self.b)))

    def shares(self, edges: Float[ndarray, " bins+1"]) -> Float[ndarray, " bins"]:
        """Probabilities of bins of cosines."""
        at = np.clip((1.0 + np.asarray(edges)[:, None]) / 2.0, 0.0, 1.0)
        return np.diff(special.betainc(self.a, self.b, at) @ np.array(self.weights))

    @property
    def valley(self) -> float:
        """Density at the minimum between the two modes divided by that at the lower mode.

        It is 1 if there is only one mode.
        """
        values = self.density(_CENTERS)
        inside = values[1:-1]
        peaks = np.flatnonzero((inside > values[:-2]) & (inside >= values[2:])) + 1
        if len(peaks) < 2:
            return 1.0
        first, last = peaks[0], peaks[-1]
        return float(values[first:last].min() / min(values[first], values[last]))


def dip(values: Float[ndarray, " n"]) -> float:
    """Hartigan's dip: largest distance to the nearest unimodal distribution function.

    The modal interval starts as the whole range. Each step finds the largest gap between the
    greatest convex minorant and the least concave majorant, and shrinks the interval to the
    vertices around it, until the fit outside is worse than the gap inside (Hartigan & Hartigan
    1985).

    Args:
        values: at least two; ties are separated by a negligible distance.

    Raises:
        ValueError: for fewer than two values, or values that are not finite.
    """
    x = np.sort(np.asarray(values, dtype=float))
    n = len(x)
    if n < 2 or not np.isfinite(x).all():
        raise ValueError("the dip needs at least two values, all finite")
    # Slopes need a distance between neighbors.
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


def scaled_dip(values: Float[ndarray, " n"]) -> float:
    """√n times the dip; its distribution for a uniform sample does not depend on n."""
    return float(np.sqrt(len(values))) * dip(values)


def null_dips(n: int) -> Float[ndarray, " draws"]:
    """√n times the dip of uniform samples, the least favorable unimodal case."""
    return np.array(_null_dips(min(2 ** (n - 1).bit_length(), _MAX_NULL_SIZE)))


@cache
def _null_dips(size: int) -> tuple[float, ...]:
    generator = np.random.default_rng(0)
    return tuple(scaled_dip(generator.random(size)) for _ in range(_DRAWS))


def dip_excess(values: Float[ndarray, " n"], level: float = 0.95) -> float:
    """√n times the dip minus its `level` quantile for a uniform sample.

    Above zero, the dip test at 1 − `level` rejects unimodality.
    """
    return scaled_dip(values) - float(np.quantile(null_dips(len(values)), level))


def dip_p_value(values: Float[ndarray, " n"]) -> float:
    """p-value of unimodality: (1 + uniform samples with as large a dip) / (1 + uniform samples)."""
    null = null_dips(len(values))
    return float((1 + (null >= scaled_dip(values)).sum()) / (1 + len(null)))


def detectable_separation(
    n: int, power: float = 0.8, draws: int = 100, seed: int = 0, share: float = 0.5
) -> float:
    """Minimum distance of two normal groups, in their sd, that the dip test detects.

    Below 2 an equal mixture is unimodal.

    Args:
        n: values per sample; capped at 1,024.
        power: required share of samples in which `dip_excess` is above zero.
        draws: samples at each distance.
        seed: of the samples.
        share: of the lower group.

    Returns:
        The first of the distances 2, 2.1, 2.2, … with this power, at most 6.
    """
    generator = np.random.default_rng(seed)
    size = min(n, _MAX_NULL_SIZE)
    for distance in np.arange(2.0, 6.0, 0.1):
        detected = 0
        for _ in range(draws):
            upper = generator.random(size) >= share
            detected += dip_excess(generator.standard_normal(size) + distance * upper) > 0
        if detected >= power * draws:
            return float(distance)
    return 6.0


def beta_mixture(cosines: Float[ndarray, " n"], groups: int) -> BetaMixture:
    """Maximum-likelihood fit of one or two beta distributions, from binned cosines.

    Raises:
        ValueError: for no cosines, cosines that are not finite, or another number of groups.
    """
    values = np.asarray(cosines, dtype=float)
    if groups not in (1, 2) or values.size == 0 or not np.isfinite(values).all():
        raise ValueError("a mixture of 1 or 2 beta distributions needs cosines, all finite")
    counts, _ = np.histogram(np.clip((1.0 + values) / 2.0, 0.0, 1.0), _BINS, (0.0, 1.0))

    def loss(at: ndarray) -> float:
        return -float(counts @ _log_density(_CENTERS, *_parameters(at, groups))) / values.size

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


_CENTERS = (np.arange(_BINS) + 0.5) / _BINS


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
    """Moment estimates for the whole sample, or below and above each of three quantiles."""
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
    mean = (counts @ _CENTERS + 0.5 / _BINS) / total if counts.any() else 0.5
    variance = max(counts @ (_CENTERS - mean) ** 2 / total, 1e-4)
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
