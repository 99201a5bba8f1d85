"""What the stages on stable and unstable latents hand on."""

from typing import NotRequired, TypedDict

from jaxtyping import Bool, Float
from numpy import ndarray


class Rank(TypedDict):
    """Effective rank of the data, by three measures."""

    participation: float
    entropy: float
    ninety_nine: int


class Camps(TypedDict):
    """Best signed decoder cosine of each latent of seed s with a live latent of seed t."""

    best: Float[ndarray, "S S n"]
    """NaN where s = t, −1 if no latent of t is live."""
    gauge: Float[ndarray, "S S n"]
    """After a random symmetry of the data was applied to t."""
    data: Float[ndarray, "draws thresholds"]
    """Share of directions with the data's covariance that recur among as many others, at the mean
    number of live latents."""
    live: Bool[ndarray, "S n"]
    firing_rate: Float[ndarray, "S n"]
    rank: Rank
    width: int
    """Dimensions of the data."""


class Without(TypedDict):
    """S dictionaries without some latents: metrics of the reconstruction and of the model."""

    explained_variance: Float[ndarray, " S"]
    loss: Float[ndarray, " S"]
    """In nats."""
    accuracy: NotRequired[Float[ndarray, " S"]]
    size: Float[ndarray, " S"]
    """Number of removed latents."""
    rate: Float[ndarray, " S"]
    """Their mean firing rate."""


class Contributions(TypedDict):
    """By removal, as `contribution.removals` chooses them, and the model's own scores."""

    nothing: Without
    stable: Without
    unstable: Without
    random: Without
    equal_stable: Without
    equal_unstable: Without
    matched_stable: Without
    matched_unstable: Without
    kind: str
    """Kind of the groups."""
    loss_clean: NotRequired[float]
    """Without intervention."""
    loss_mean: NotRequired[float]
    """With the mean activation everywhere."""
    accuracy_clean: NotRequired[float]
    accuracy_mean: NotRequired[float]


class OfRandom(TypedDict):
    """Measures of single directions."""

    token_rank: Float[ndarray, "S latents"]
    """Mean log10 frequency rank of the tokens on which it fires."""
    entropy: Float[ndarray, "S latents"]
    """In bits, of a fixed number of these tokens; NaN for rarer latents."""
    rule: Float[ndarray, "S latents"]
    """Detection score of a rule; NaN where none was learned."""


class Responses(OfRandom):
    """Measures of the latents of both groups, padded with NaN."""

    stable: Float[ndarray, "S latents"]
    """1 or 0."""
    pair: Float[ndarray, "S latents"]
    """Number of the pair of latents that fire equally often; −1 outside."""
    log_frequency: Float[ndarray, "S latents"]
    """log10 of the firing rate."""
    random: OfRandom
    """Of directions with the data's covariance and the same firing rates."""
    rare: Float[ndarray, "S 2"]
    """Shares of unstable and of stable latents too rare for a rule."""
    kind: str
    """Kind of the groups."""
