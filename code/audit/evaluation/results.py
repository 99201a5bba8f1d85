"""What the evaluation of single dictionaries hands on."""

from typing import NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int


class BriefMetrics(TypedDict):
    """Reconstruction and sparsity of S dictionaries, in brief."""

    explained_variance: Float[np.ndarray, " S"]
    l0: Float[np.ndarray, " S"]
    dead_fraction: Float[np.ndarray, " S"]


class FiringMetrics(BriefMetrics):
    """Reconstruction and sparsity of S dictionaries, with the firing rate of each latent."""

    firing_rate: Float[np.ndarray, "S n"]


class ReconstructionMetrics(FiringMetrics):
    """Reconstruction and sparsity of S dictionaries on one set of samples."""

    explained_variance_scalar_mean: Float[np.ndarray, " S"]
    mse: Float[np.ndarray, " S"]


class Evaluation(TypedDict):
    """Reconstruction metrics of the dictionaries of S seeds."""

    train: ReconstructionMetrics
    heldout: ReconstructionMetrics
    live: Bool[np.ndarray, "S n"]
    """Latents that fire at least once on held-out samples."""
    rarely_firing_fraction: NotRequired[Float[np.ndarray, " S"]]
    """Share of dead latents as 001 counts them; of trained dictionaries."""
    seeds: NotRequired[Int[np.ndarray, " S"]]
    """Seed of each, where each has one of its own."""


class HeldoutEvaluation(TypedDict):
    """Reconstruction metrics of the dictionaries of S seeds on held-out samples."""

    heldout: FiringMetrics
    own: NotRequired[FiringMetrics]
    """On some of the training samples, where they were asked for."""
    live: Bool[np.ndarray, "S n"]
    """Latents that fire at least once."""


class FourierMeasure(TypedDict):
    """One Fourier measure of S dictionaries, mean over latents."""

    value: Float[np.ndarray, " S"]
    chance: Float[np.ndarray, " S"]
    each: NotRequired[Float[np.ndarray, "S n"]]
    """Of each latent; NaN where it is constant."""
    control: NotRequired[float]
    """Positive control."""
    chance_spread: NotRequired[float]
    """Standard deviation over drawn dictionaries."""


class FourierMeasures(TypedDict):
    """The three Fourier measures."""

    latents: FourierMeasure
    decoder: FourierMeasure
    naive: FourierMeasure
