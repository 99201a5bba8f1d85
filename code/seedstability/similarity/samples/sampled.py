"""What dictionaries make of activations: moments, reconstruction, firing rates, outliers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    saes: Sequence[SAE], activations: Activations, drop_outliers: bool, strongest: int = 0
) -> Sampled:
    """Measure dictionaries on activations, in a few passes.

    Args:
        saes: all of one width.
        activations: to be reconstructed.
        drop_outliers: whether outliers are left out.
        strongest: in how many samples each latent is largest, to be listed.

    Raises:
        UserError: as `accumulate_moments`.
    """
    every = accumulate_moments(activations)
    limit, count = outlier_limit(every.norms)
    kept = without_outliers(activations, limit, count)
    without = accumulate_moments(kept) if count else every
    held = 1 - without.total_sum_of_squares / every.total_sum_of_squares
    outliers = Outliers(limit, count, held)
    chosen, its = (kept, without) if drop_outliers else (activations, every)
    metrics = reconstruction_metrics(saes, chosen, its.total_sum_of_squares, strongest)
    sampled = Sampled(chosen, its.moments, metrics, outliers, drop_outliers, None, None)
    if drop_outliers or not outliers.matter:
        return sampled
    beside = reconstruction_metrics(saes, kept, without.total_sum_of_squares)
    explained = [each.explained_variance for each in beside]
    return replace(sampled, moments_without=without.moments, explained_without=explained)
