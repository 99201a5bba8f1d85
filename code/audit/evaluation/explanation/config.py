"""Settings of explanations of latents and of their scores."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class RuleConfig:
    """The learner of rules; all settings were fixed before any score was computed."""

    max_predicates: int = 10
    """Maximum number of predicates; a longer rule is hard to read."""
    penalty: float = 0.01
    """Gain in training balanced accuracy that each predicate needs: two of a hundred active
    windows. A smaller penalty would let a rule list single windows."""
    tokens: int = 32
    """Candidate tokens at each of the three places, the most frequent where the latent fires."""
    paired: int = 40
    """Candidate predicates for conjunctions: those that hold at the most firing tokens."""


@dataclass(frozen=True)
class ExplanationConfig:
    """Rules for latents, and the detection score of each (definitions.md §4)."""

    dictionary: DictionaryConfig
    """Architecture of the dictionaries."""
    model: str = "small"
    """The model whose tokenizer gives the texts of tokens."""
    weights_sha256: str = ""
    """Hash of that model's weights, which changes with its tokenizer."""
    rules: RuleConfig = RuleConfig()
    """Settings of the learner."""
    latents: int = 200
    """Latents explained in each dictionary, drawn in ten strata of firing rate."""
    shown: int = 100
    """Active windows for learning, those in which the latent is strongest."""
    contrast: int = 400
    """Inactive windows for learning, drawn at random."""
    scored: int = 100
    """Active windows, and the same number of inactive ones, on which a rule is scored. A latent
    with fewer in either half of the text is not scored, and is counted."""
    block: int = 8
    """Consecutive contexts assigned to one half of the text. Neighboring contexts, often of one
    file, would otherwise be used for both learning and scoring."""
    controls: int = 20
    """Planted latents of each kind."""
    seed: int = 0
    """Seed of latents, windows and random directions."""


@dataclass(frozen=True)
class AlignmentConfig:
    """Similarity of each latent to its partner in every other seed; there are no settings."""
