"""Settings of the comparison of stable and unstable latents."""

from dataclasses import dataclass

from audit.evaluation.explanation.config import ExplanationConfig
from audit.subjects.modular_addition.config import ReadingConfig
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.stability.config import CAMPS, GroupsConfig


@dataclass(frozen=True)
class ContributionConfig:
    """Contribution of groups of latents: what is lost when they are set to zero."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    caliper: float = 0.1
    """Largest difference of log10 firing rates within a matched pair: about a quarter."""
    seeds: tuple[int, ...] = ()
    """Dictionaries of these seeds are measured."""
    seed: int = 0
    """Seed of groups and contexts."""


@dataclass(frozen=True)
class LanguageContributionConfig:
    """Contribution of groups of latents to a language model's loss."""

    contribution: ContributionConfig
    """Groups and pairs."""
    model: str
    """The model whose activations were read."""
    weights_sha256: str
    """Hash of the weights, so that other weights change the stage's key."""
    hook: str
    """The hook point where activations were read and reconstructions replace them."""
    contexts: int = 16
    """Held-out contexts."""
    allow_download: bool = False
    """Whether the model may be downloaded from the hub."""


@dataclass(frozen=True)
class AdditionContributionConfig:
    """Contribution of groups of latents to the answers of a modular-addition subject.

    Dictionaries reconstruct the output of its last block.
    """

    contribution: ContributionConfig
    """Groups and pairs."""
    subject: ReadingConfig
    """The subject."""


@dataclass(frozen=True)
class ResponsesConfig:
    """Firing rates, tokens and rules of the latents of both groups, on held-out text."""

    explanation: ExplanationConfig
    """Architecture of the dictionaries; learning and scoring of rules."""
    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    caliper: float = 0.1
    """As in `ContributionConfig`."""
    seeds: tuple[int, ...] = ()
    """Dictionaries of these seeds are measured."""
    firings: int = 32
    """Firings of each latent from which entropy is estimated. The number is fixed because the
    estimate depends on it; rarer latents have none."""
    draws: int = 8
    """Subsamples of firings over which entropy is averaged."""
    rules: int = 60
    """Maximum number of latents of each group of a seed for which a rule is learned."""
    seed: int = 0
    """Seed of firings, latents and random directions."""
