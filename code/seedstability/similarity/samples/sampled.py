"""What dictionaries make of activations: moments, reconstruction, firing rates, outliers."""

from collections.abc import Sequence
from dataclasses import dataclass

from seedstability.dictionaries.sae import SAE
from seedstability.similarity.inputs import Moments
from seedstability.similarity.samples.activations import Activations, accumulate_moments
from seedstability.similarity.samples.outliers import Outliers, outlier_limit, without_outliers
from seedstability.similarity.samples.reconstruction import (
    ReconstructionMetrics,
    reconstruction_metrics,
)


@dataclass(frozen=True)
class Sampled:
    """Activations, and what was measured on them."""

    activations: Activations
    """As they were measured, with or without outliers."""
    moments: Moments
    """Their moments."""
    metrics: Sequence[ReconstructionMetrics]
    """Reconstruction metrics and firing rates of each dictionary."""
    outliers: Outliers
    """Samples of very large norm."""
    dropped: bool
    """Whether these were left out."""
    moments_without: Moments | None
    """Moments without outliers, where these matter and were not left out."""
    explained_without: Sequence[float] | None
    """Explained variance of each dictionary without them."""


def measure_activations(
    saes: Sequence[SAE], activations: Activations, drop_outliers: bool
) -> Sampled:
    """Measure dictionaries on activations, in a few passes.

    Args:
        saes: all of one width.
        activations: to be reconstructed.
        drop_outliers: whether outliers are left out.

    Raises:
        UserError: as `accumulate_moments`.
    """
    every = accumulate_moments(activations)
    limit, count = outlier_limit(activations)
    kept, without = without_outliers(activations, limit, count), every
    if count:
        without = accumulate_moments(kept)
    held = 1 - without.total_sum_of_squares / every.total_sum_of_squares
    outliers = Outliers(limit, count, held)
    if drop_outliers:
        metrics = reconstruction_metrics(saes, kept, without.total_sum_of_squares)
        return Sampled(kept, without.moments, metrics, outliers, True, None, None)
    metrics = reconstruction_metrics(saes, activations, every.total_sum_of_squares)
    if not outliers.matter:
        return Sampled(activations, every.moments, metrics, outliers, False, None, None)
    of_kept = reconstruction_metrics(saes, kept, without.total_sum_of_squares)
    explained = [each.explained_variance for each in of_kept]
    return Sampled(activations, every.moments, metrics, outliers, False, without.moments, explained)
