"""Held-out text with its activations, and one latent looked at in it: learnt from, scored."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from audit.evaluation.explanation.config import ExplanationConfig
from audit.evaluation.explanation.detection import (
    Example,
    Explainer,
    Judge,
    balanced_accuracy,
    detection_score,
)
from audit.evaluation.explanation.learner import learn
from audit.evaluation.explanation.rules import Rule
from audit.evaluation.explanation.windows import LENGTH, Activity, Vocabulary, Windows, activity
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.sparse_latents import above, pre_activations, topk
from seedstability.errors import UserError

_AT_ONCE = 8192
"""Samples encoded at a time."""


class Samples(NamedTuple):
    """Held-out text and its activations."""

    x: Float[torch.Tensor, "samples d"]
    """Activations, those of one context after another, without its first token's."""
    windows: Windows
    """The text."""
    learning: Bool[ndarray, "w"]
    """Windows of the half that rules are learnt from."""
    length: int
    """Samples of a context."""

    @classmethod
    def of(
        cls, config: ExplanationConfig, activations: Mapping[str, ndarray], texts: list[str]
    ) -> "Samples":
        """From what `language_model.stages` returns, and the texts of the model's tokens.

        Raises:
            UserError: for contexts that cannot be cut, or samples that are not theirs.
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

    def activity(self, rows: Int[ndarray, "f"], values: Float[ndarray, "f"]) -> Activity:
        """The windows of the samples in which something fires."""
        return activity(rows, values, self.length)


class Look:
    """One latent, with the windows that it is explained from and scored on."""

    def __init__(
        self,
        active: Activity,
        samples: Samples,
        config: ExplanationConfig,
        generator: np.random.Generator,
    ):
        """Draw them; the strongest to learn from, any to score on."""
        self._windows, self._config = samples.windows, config
        fires = np.zeros(len(samples.windows), bool)
        fires[active.window] = True
        learning = samples.learning[active.window]
        strongest = np.argsort(-active.strength[learning], kind="stable")[: config.shown]
        silent, scored = ~fires & samples.learning, ~fires & ~samples.learning
        self._words = active.word[learning][strongest]
        self.shown = active.window[learning][strongest]
        self.contrast = some(np.flatnonzero(silent), config.contrast, generator)
        self.active = some(active.window[~learning], config.scored, generator)
        self.inactive = some(np.flatnonzero(scored), config.scored, generator)
        strongest = np.argsort(-active.strength[~learning], kind="stable")[: config.scored]
        self.strong = active.window[~learning][strongest]

    def rule(self) -> Rule:
        """Learnt from one half of the text."""
        shown, contrast = self._windows[self.shown], self._windows[self.contrast]
        return learn(shown, self._words, contrast, self._config.rules)

    def score(self, rule: Rule) -> float:
        """Balanced accuracy of a rule on the other half."""
        return self._score(rule, self.active)

    def score_strong(self, rule: Rule) -> float:
        """The same where active windows are those in which the latent is strongest."""
        return self._score(rule, self.strong)

    def _score(self, rule: Rule, active: Int[ndarray, "active"]) -> float:
        return balanced_accuracy(
            self._windows[active].marked(rule), self._windows[self.inactive].marked(rule)
        )


def explained_by(
    explainer: Explainer, judge: Judge, look: Look, samples: Samples, rows: ndarray, values: ndarray
) -> tuple[str, float]:
    """What an explainer says of a latent, and its detection score with a judge.

    Args:
        explainer, judge: anybody's.
        look: the windows.
        samples: the text.
        rows, values: samples in which the latent fires, and how strongly.
    """
    shown, contrast, active, inactive = (
        examples(samples, rows, values, windows)
        for windows in (look.shown, look.contrast, look.active, look.inactive)
    )
    said = explainer.explain(shown, contrast)
    return said, detection_score(said, judge, active, inactive)


def examples(
    samples: Samples, rows: Int[ndarray, "f"], values: Float[ndarray, "f"], which: ndarray
) -> list[Example]:
    """Windows as an explainer sees them."""
    # A separator before each context is no sample: its place stays at zero.
    strengths = np.zeros(
        (len(samples.windows) * LENGTH // (samples.length + 1), samples.length + 1)
    )
    strengths[rows // samples.length, rows % samples.length + 1] = values
    texts, windows = samples.windows.vocabulary.texts, samples.windows
    of_windows = strengths.reshape(-1, LENGTH)
    return [
        Example(
            tuple(texts[token] for token in windows.tokens[w]),
            tuple(of_windows[w].tolist()),
            int(windows.first[w]),
        )
        for w in which
    ]


def some(
    rows: Int[ndarray, "rows"], most: int, generator: np.random.Generator
) -> Int[ndarray, "some"]:
    """At most so many, drawn without replacement."""
    return generator.choice(rows, min(most, len(rows)), replace=False)


def fit(active: Activity, samples: Samples, config: ExplanationConfig) -> int:
    """0 where a latent can be scored, −1 where it is too rare for it, 1 where it is too common."""
    halves = np.bincount(samples.learning[active.window], minlength=2)
    whole = np.bincount(samples.learning, minlength=2)
    if halves.min() < config.scored:
        return -1
    return int((whole - halves).min() < config.scored)


class Firings(NamedTuple):
    """All firings of a dictionary, sorted by latent, then by sample."""

    rows: Int[ndarray, "firings"]
    """The sample of each."""
    values: Float[ndarray, "firings"]
    """The latent's value there."""
    counts: Int[ndarray, "n"]
    """Firings of each latent."""
    ends: Int[ndarray, "n"]
    """Where those of each latent end."""

    def of(self, latent: int) -> tuple[Int[ndarray, "f"], Float[ndarray, "f"]]:
        """Samples in which a latent fires, and its values there."""
        mine = slice(self.ends[latent] - self.counts[latent], self.ends[latent])
        return self.rows[mine], self.values[mine]


def firings(sae: SAE, x: Float[torch.Tensor, "samples d"]) -> Firings:
    """What `sae.encode` does not set to zero, without a table of all latents."""
    parts = [
        _fired(sae, x[start : start + _AT_ONCE], start) for start in range(0, len(x), _AT_ONCE)
    ]
    rows, latents, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(latents, kind="stable")
    counts = np.bincount(latents, minlength=len(sae.decoder))
    return Firings(rows[order], values[order], counts, counts.cumsum())


def _fired(
    sae: SAE, x: Float[torch.Tensor, "b d"], start: int
) -> tuple[Int[ndarray, "f"], Int[ndarray, "f"], Float[ndarray, "f"]]:
    """Sample, latent and value of each firing among samples of which the first is `start`."""
    encoder, bias, centred = sae.encoder, sae.encoder_bias, sae.centered(x)
    if sae.config.architecture == "topk":
        fired = topk(encoder, bias, centred, sae.config.k)
    else:
        fired = above(pre_activations(encoder, bias, centred), sae.threshold.numpy())
    rows = np.repeat(np.arange(start, start + len(x)), np.diff(fired.offsets))
    kept = fired.values > 0 if sae.config.rectify else fired.values != 0
    return rows[kept], fired.latents[kept], fired.values[kept]
