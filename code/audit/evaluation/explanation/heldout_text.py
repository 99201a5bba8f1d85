"""Held-out text with activations, and the windows that a latent is explained and scored on."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from audit.evaluation.explanation.config import ExplanationConfig
from audit.evaluation.explanation.learner import learn
from audit.evaluation.explanation.rules import Rule
from audit.evaluation.explanation.windows import LENGTH, Activity, Vocabulary, Windows, activity
from audit.subjects.language_model.results import TextActivations
from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_AT_ONCE = 8192
"""Samples encoded at a time."""


class HeldoutText(NamedTuple):
    """Held-out text and its activations."""

    x: Float[torch.Tensor, "samples d"]
    """Activations, context after context, without those of the first token of each."""
    windows: Windows
    """The text."""
    learning: Bool[ndarray, " w"]
    """Windows of the half of the text that rules are learned from."""
    length: int
    """Samples of a context."""

    @classmethod
    def of(
        cls, config: ExplanationConfig, activations: TextActivations, texts: list[str]
    ) -> "HeldoutText":
        """Build from activations and the texts of the model's tokens.

        Raises:
            UserError: the contexts cannot be cut into windows, or the samples do not fit them.
        """
        contexts, x = np.asarray(activations["heldout_contexts"]), activations["heldout"]
        count, length = contexts.shape
        if length % LENGTH or len(x) != count * (length - 1):
            raise UserError(
                f"{count} contexts of {length} tokens and {len(x)} samples; need contexts of a"
                f" multiple of {LENGTH} tokens and a sample for all but the first token of each"
            )
        vocabulary = Vocabulary(texts, separator=int(contexts[0, 0]))
        half = np.arange(count) // config.block % 2 == 0
        return cls(
            torch.from_numpy(np.array(x)),
            Windows.of(contexts, vocabulary),
            np.repeat(half, length // LENGTH),
            length - 1,
        )

    def activity(self, rows: Int[ndarray, " f"], values: Float[ndarray, " f"]) -> Activity:
        """Convert firings on samples to windows."""
        return activity(rows, values, self.length)


class LatentWindows:
    """Windows that one latent is explained from and scored on."""

    def __init__(
        self,
        active: Activity,
        samples: HeldoutText,
        config: ExplanationConfig,
        generator: np.random.Generator,
    ):
        """Draw the windows: the strongest for learning, random ones for scoring."""
        self._windows, self._config = samples.windows, config
        fires = np.zeros(len(samples.windows), bool)
        fires[active.window] = True
        learning = samples.learning[active.window]
        strongest = np.argsort(-active.strength[learning], kind="stable")[: config.shown]
        silent, scored = ~fires & samples.learning, ~fires & ~samples.learning
        self._words = active.word[learning][strongest]
        self.shown = active.window[learning][strongest]
        self.contrast = sample_at_most(np.flatnonzero(silent), config.contrast, generator)
        self.active = sample_at_most(active.window[~learning], config.scored, generator)
        self.inactive = sample_at_most(np.flatnonzero(scored), config.scored, generator)
        strongest = np.argsort(-active.strength[~learning], kind="stable")[: config.scored]
        self.strong = active.window[~learning][strongest]

    def rule(self) -> Rule:
        """Learn a rule from one half of the text."""
        shown, contrast = self._windows[self.shown], self._windows[self.contrast]
        return learn(shown, self._words, contrast, self._config.rules)

    def score(self, rule: Rule) -> float:
        """Compute the balanced accuracy of a rule on the other half."""
        return self._score(rule, self.active)

    def score_strong(self, rule: Rule) -> float:
        """Compute the balanced accuracy with the strongest windows as active ones."""
        return self._score(rule, self.strong)

    def _score(self, rule: Rule, active: Int[ndarray, " active"]) -> float:
        return balanced_accuracy(
            self._windows[active].marked(rule), self._windows[self.inactive].marked(rule)
        )


def balanced_accuracy(
    on_active: Bool[ndarray, " active"], on_inactive: Bool[ndarray, " inactive"]
) -> float:
    """Average the accuracies on active and on inactive windows."""
    return 0.5 * float(on_active.mean()) + 0.5 * float(1.0 - on_inactive.mean())


def sample_at_most(
    rows: Int[ndarray, " rows"], most: int, generator: np.random.Generator
) -> Int[ndarray, " drawn"]:
    """Draw at most `most` rows without replacement."""
    return generator.choice(rows, min(most, len(rows)), replace=False)


def scorability(active: Activity, samples: HeldoutText, config: ExplanationConfig) -> int:
    """Return 0 if a latent can be scored, −1 if it is too rare, 1 if it is too common."""
    halves = np.bincount(samples.learning[active.window], minlength=2)
    whole = np.bincount(samples.learning, minlength=2)
    if halves.min() < config.scored:
        return -1
    return int((whole - halves).min() < config.scored)


class Firings(NamedTuple):
    """All firings of a dictionary, sorted by latent, then by sample."""

    rows: Int[ndarray, "firings"]
    """The sample of each firing."""
    values: Float[ndarray, "firings"]
    """The latent's value there."""
    counts: Int[ndarray, " n"]
    """Number of firings of each latent."""
    ends: Int[ndarray, " n"]
    """End of each latent's firings in `rows` and `values`."""

    def of(self, latent: int) -> tuple[Int[ndarray, " f"], Float[ndarray, " f"]]:
        """Return the samples on which a latent fires, and its values there."""
        mine = slice(self.ends[latent] - self.counts[latent], self.ends[latent])
        return self.rows[mine], self.values[mine]


def firings(sae: SAE, x: Float[torch.Tensor, "samples d"]) -> Firings:
    """Find all non-zero latents of `sae.encode` without a dense array."""
    parts = [
        _fired(sae, x[start : start + _AT_ONCE], start) for start in range(0, len(x), _AT_ONCE)
    ]
    rows, latents, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(latents, kind="stable")
    counts = np.bincount(latents, minlength=len(sae.decoder))
    return Firings(rows[order], values[order], counts, counts.cumsum())


def _fired(
    sae: SAE, x: Float[torch.Tensor, "b d"], start: int
) -> tuple[Int[ndarray, " f"], Int[ndarray, " f"], Float[ndarray, " f"]]:
    """Return sample, latent and value of each firing, for samples numbered from `start`."""
    architecture = architecture_of(sae.config)
    fired = architecture.active(sae, sae.centered(x))
    rows = np.repeat(np.arange(start, start + len(x)), np.diff(fired.offsets))
    kept = fired.values > 0 if architecture.rectifies(sae.config) else fired.values != 0
    return rows[kept], fired.latents[kept], fired.values[kept]
