"""What is measured of latents that come back and of those that do not. No torch here."""

from dataclasses import dataclass

from audit.evaluation.explanation.config import ExplanationConfig
from audit.subjects.modular_addition.config import ReadingConfig
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.stability.groups_config import CAMPS, GroupsConfig


@dataclass(frozen=True)
class WorthConfig:
    """What is lost when a group of latents is set to zero within the reconstruction."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    caliper: float = 0.1
    """Largest difference in the logarithm (base 10) of the firing rates of a pair: by a quarter."""
    first: int = 10
    """Dictionaries, from the first on."""
    seed: int = 0
    """Draws groups and contexts."""


@dataclass(frozen=True)
class LanguageWorthConfig:
    """The same on a language model."""

    worth: WorthConfig
    """Groups and pairs."""
    model: str
    """The model that the activations were read from."""
    weights_sha256: str
    """So that other weights mean another result."""
    hook: str
    """Where they were read, and where the reconstruction stands in for them."""
    contexts: int = 16
    """Held-out contexts."""
    allow_download: bool = False
    """Whether the model may be fetched from the hub."""


@dataclass(frozen=True)
class SubjectWorthConfig:
    """The same on a transformer that adds, whose last block's output is reconstructed."""

    worth: WorthConfig
    """Groups and pairs."""
    subject: ReadingConfig
    """Whose answers are looked at."""


@dataclass(frozen=True)
class ResponsesConfig:
    """What latents of the two groups respond to, in held-out text."""

    explanation: ExplanationConfig
    """How the dictionaries encode, and how rules are learnt and scored."""
    groups: GroupsConfig = CAMPS
    """Which latents are unstable, and which stable."""
    caliper: float = 0.1
    """As for `WorthConfig`."""
    first: int = 5
    """Dictionaries, from the first on."""
    firings: int = 32
    """Firings of each latent from which entropy is taken, always as many: of fewer it comes out
    smaller. A latent that fires less often has none."""
    draws: int = 8
    """Draws of so many firings, averaged."""
    rules: int = 60
    """Latents of each group of a seed for which a rule is learnt, at most."""
    seed: int = 0
    """Draws firings, latents and random directions."""
