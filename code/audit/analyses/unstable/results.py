"""What the stages on unstable latents hand on."""

from typing import TypedDict

from jaxtyping import Float, Int
from numpy import ndarray


class UnstableSpans(TypedDict):
    """Overlaps of spans at k dimensions, NaN on the diagonal; the levels are `spans.LEVELS`."""

    dimensions: Int[ndarray, " k"]
    """The main one first."""
    found: Float[ndarray, "k S S"]
    covariance: Float[ndarray, "k S S"]
    stable: Float[ndarray, "k S S"]
    components: Float[ndarray, "k S S"]
    gauge: Float[ndarray, "k S S"]
    anybody: Float[ndarray, "k S S"]
    """Of as many random live latents. Renaming it would move the addresses of locked values."""
    partners: Float[ndarray, "k S S"]
    leftover: Float[ndarray, "k S S"]
    among_stable: Float[ndarray, "k S S"]
    random: Float[ndarray, " k"]
    """In closed form."""
    member: Float[ndarray, "S S"]
    """Mean squared best cosine of an unstable latent of one seed with a live latent of the other,
    averaged over both directions."""
    member_gauge: Float[ndarray, "S S"]
    """The same after a gauge scramble."""
    participation: dict[str, Float[ndarray, " S"]]
    """Effective dimensions of each of `spans.KINDS`."""
    ninety: dict[str, Int[ndarray, " S"]]
    """Dimensions that hold the share."""
    data_participation: float
    data_ninety: int
    kind: str
    """Kind of the groups."""
    n_stable: Int[ndarray, " S"]
    n_unstable: Int[ndarray, " S"]


class ClusterSpans(TypedDict):
    """Clusters of G groups of seeds. Tables are averaged over clusters and both directions, with
    NaN on the diagonal."""

    found: Float[ndarray, "G G"]
    """Overlap with the best cluster of the other group."""
    gauge: Float[ndarray, "G G"]
    covariance: Float[ndarray, "G G"]
    member: Float[ndarray, "G G"]
    """Mean best cosine of the clusters' latents with a live latent of a seed of the other group."""
    member_gauge: Float[ndarray, "G G"]
    """The same after a scramble."""
    member_matched: Float[ndarray, "G G"]
    """The same with the best latent of the partner cluster."""
    square: Float[ndarray, "G G"]
    """Mean of the best cosines squared, which are overlaps of lines."""
    square_gauge: Float[ndarray, "G G"]
    dimension: Float[ndarray, " G"]
    """Mean participation of the clusters."""
    clusters: Int[ndarray, " G"]
    """Their number."""
    members: Float[ndarray, " G"]
    """Their mean size."""
    covered: Float[ndarray, " G"]
    """Share of the latents in clusters."""
    between: Float[ndarray, " G"]
    """Mean cosine of two members of a cluster from different seeds."""


class UnstableClusters(TypedDict):
    """Clusters of unstable latents, and of stable ones as a control."""

    unstable: ClusterSpans
    stable: ClusterSpans
    kind: str
    """Kind of the groups."""
