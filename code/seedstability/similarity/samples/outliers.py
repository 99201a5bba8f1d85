"""Samples of very large norm, such as a context's first token, and chance levels without them.

A few of them can hold nearly all of the variance. Chance levels that keep the covariance, κ against
them and explained variance then describe these samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from seedstability.similarity.chance_levels import data_level, mean_statistics
from seedstability.similarity.config import ComparisonConfig, matched_pairs
from seedstability.similarity.inputs import Moments
from seedstability.similarity.pairs import Statistics, Weights, decoder_statistics
from seedstability.similarity.samples.activations import Activations, ActivationStream, norms

TIMES_THE_MEDIAN = 10.0
"""An outlier's norm is more than this many times the median norm: the rule, and the usual factor,
of dictionary_learning's `max_activation_norm_multiple`."""
_WORTH_SAYING = 0.1
"""Share of the variance from which a report speaks of outliers."""


@dataclass(frozen=True)
class Outliers:
    """The outliers of activations."""

    limit: float
    """Norm above which a sample is one."""
    count: int
    """Number of them."""
    share_of_variance: float
    """By how much Σ‖x − x̄‖² shrinks without them, as a share."""

    @property
    def matter(self) -> bool:
        """Whether they hold so much of the variance that figures describe them."""
        return self.share_of_variance >= _WORTH_SAYING


class WithoutOutliers:
    """A stream of the samples that are no outliers."""

    def __init__(self, samples: ActivationStream, limit: float, count: int):
        """Leave out the `count` samples whose norm is above `limit`."""
        self._samples, self._limit = samples, limit
        self.shape = (samples.shape[0] - count, samples.shape[1])

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """Iterate over the samples that are kept."""
        for part in self._samples.parts():
            kept = part[norms(part) <= self._limit]
            if len(kept):
                yield kept


def outlier_limit(lengths: Float[Tensor, " m"]) -> tuple[float, int]:
    """Norm above which samples are outliers, and the number of these, from the norms of all.

    With a median of 0 there are none.
    """
    median = lengths.median().item()
    limit = TIMES_THE_MEDIAN * median if median else torch.inf
    return limit, int((lengths > limit).sum())


def without_outliers(activations: Activations, limit: float, count: int) -> Activations:
    """The same activations without their outliers."""
    kept = WithoutOutliers(activations.samples, limit, count)
    return replace(activations, samples=kept)


def levels_without(
    dictionaries: Sequence[Weights], kept: Moments, config: ComparisonConfig
) -> dict[str, Statistics]:
    """Levels `data` and `gauge` of decoder statistics, from moments without the outliers.

    Args:
        dictionaries: all of one width; where their sizes differ, the level `data` is that of their
            mean size.
        kept: moments of the samples that are kept.
        config: of the comparison; the gauge level is a mean over as many of its pairs.
    """
    generator = Generator().manual_seed(config.seed)
    n = round(sum(len(each.decoder) for each in dictionaries) / len(dictionaries))
    gauge = kept.gauge
    pairs = matched_pairs(len(dictionaries), config)[slice(config.gauge_pairs)]
    scrambled = [
        decoder_statistics(
            dictionaries[i].decoder, dictionaries[j].scrambled(gauge, generator).decoder
        )
        for i, j in pairs
    ]
    data = data_level(kept.covariance, n, config.chance_draws, generator)
    return {"data": data, "gauge": mean_statistics(scrambled)}
