"""What the stages of language models hand on."""

from typing import TypedDict

import numpy as np
from jaxtyping import Float32, Int8, Int32

from audit.subjects.language_model.config import Domain, Split
from audit.subjects.language_model.text import Contexts


class TextResult(TypedDict):
    """The corpus in a model's tokens."""

    train: dict[Domain, Contexts]
    heldout: dict[Domain, Contexts]
    files: dict[Split, int]
    """Number of files."""
    characters: dict[Split, dict[Domain, int]]
    """Number of characters."""


class TextActivations(TypedDict):
    """Activations at one hook point."""

    train: Float32[np.ndarray, "samples d"]
    """The first rows of the shuffled training tokens."""
    train_contexts: Int32[np.ndarray, "contexts length"]
    request: str
    """With the contexts, `activation_store.stored_samples` reads all training tokens from it."""
    heldout: Float32[np.ndarray, "rows d"]
    """In the order of the text: row r is of context r // (length − 1), at position
    r % (length − 1) + 1."""
    heldout_contexts: Int32[np.ndarray, "heldout length"]
    heldout_domain: Int8[np.ndarray, " heldout"]
    """The domain's index in `DOMAINS`."""


class Losses(TypedDict):
    """Held-out losses on one domain, in nats a token."""

    model: float
    """Mean cross-entropy of the model."""
    ngram: dict[str, float]
    """Of n-gram models of the same training text, by order."""


class ModelStatistics(TypedDict):
    """Size of the small model, and its losses by domain."""

    parameters: int
    """Number of weights."""
    blocks: int
    training_tokens: int
    code: Losses
    prose: Losses


class ByteLoss(TypedDict):
    """Held-out loss on one domain, and what turns it into one per byte."""

    nats_per_token: float
    bytes_per_token: float


class ByteLosses(TypedDict):
    """Held-out losses by domain."""

    code: ByteLoss
    prose: ByteLoss


class MassiveActivations(TypedDict):
    """Massive activations at one hook point; shares are of tokens unless said otherwise."""

    share: float
    """Tokens with a massive norm."""
    share_at_beginning: float
    """The same among the first two positions after the separator."""
    contexts: float
    """Share of contexts with such a token."""
    largest: float
    """Largest norm, in medians."""
    variance: float
    """Share of the summed squared distances from the mean that goes with these tokens."""
    largest_dimension: float
    """Share of the variance of the other tokens that the largest coordinate holds."""
    mean_share: float
    """Squared norm of their mean as a share of their mean squared norm."""
    effective_rank: float
    """Participation ratio of their covariance's eigenvalues."""
