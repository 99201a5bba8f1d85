"""How latents are explained and how explanations are scored. No torch here."""

from dataclasses import dataclass

from seedstability.dictionaries.config import DictionaryConfig


@dataclass(frozen=True)
class RuleConfig:
    """The learner of rules. All of it was fixed before any score was seen."""

    most_predicates: int = 10
    """A rule with more is no longer read at a glance."""
    penalty: float = 0.01
    """What each predicate has to earn in balanced accuracy on the windows it is learnt from: two
    of a hundred active windows. Less would let a rule list single windows."""
    tokens: int = 32
    """Tokens offered to the learner at each of the three places, the most frequent where the
    latent fires."""
    paired: int = 40
    """Predicates offered to conjunctions: those that hold at most of the firing tokens."""


@dataclass(frozen=True)
class ExplanationConfig:
    """Rules for latents, and the detection score of each (definitions.md §4)."""

    dictionary: DictionaryConfig
    """How the dictionaries encode."""
    model: str = "small"
    """Whose tokenizer says what a token looks like."""
    weights_sha256: str = ""
    """Hash of that model's weights, which changes with its tokenizer."""
    rules: RuleConfig = RuleConfig()
    """How rules are learnt."""
    latents: int = 200
    """Latents explained of each dictionary, drawn in ten strata of firing rate."""
    shown: int = 100
    """Active windows a rule is learnt from, those in which the latent is strongest."""
    contrast: int = 400
    """Windows without the latent that it is learnt from too, drawn at random."""
    scored: int = 100
    """Active windows, and as many inactive ones, on which a rule is scored. A latent with fewer in
    either half of the text is not scored, and is counted."""
    block: int = 8
    """Contexts in a row that go to one half of the text, so that neighbours, often of one file,
    are not learnt from and scored on."""
    controls: int = 20
    """Planted latents of each kind."""
    seed: int = 0
    """Draws latents, windows and random directions."""


@dataclass(frozen=True)
class AlignmentConfig:
    """How alike each latent is to its partner in every other seed. It has no settings."""
