"""Detection scoring: does an explanation predict in which windows a latent fires?

Explainers and judges have one interface: the rules of this package, a language model behind an
OpenAI-compatible endpoint, or a local one. Scoring follows delphi's detection (Paulo et al. 2024,
2410.13928): balanced accuracy on held-out windows with and without the latent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from seedstability.errors import UserError


@dataclass(frozen=True)
class Example:
    """One window of text as given to an explainer or judge."""

    tokens: tuple[str, ...]
    """Texts of the tokens."""
    strengths: tuple[float, ...]
    """The latent's value at each token, 0 where it does not fire."""
    first: int = 0
    """Position of the first token in its context."""


class Explainer(Protocol):
    """Explains in words what a latent fires on."""

    def explain(self, active: Sequence[Example], inactive: Sequence[Example]) -> str:
        """Return the explanation.

        Args:
            active: windows in which the latent is strongest, the strongest first.
            inactive: windows in which it does not fire; an explainer may ignore them.
        """
        ...


class Judge(Protocol):
    """Predicts from an explanation where a latent fires."""

    def judge(self, explanation: str, windows: Sequence[Example]) -> list[bool]:
        """Predict whether it fires in each window; strengths are hidden, all 0."""
        ...


def detection_score(
    explanation: str, judge: Judge, active: Sequence[Example], inactive: Sequence[Example]
) -> float:
    """Compute the balanced accuracy of a judge that sees the explanation and no strengths.

    Args:
        explanation: an explainer's reply for other windows.
        judge: predicts from the explanation.
        active, inactive: windows with and without the latent, at least one of each.

    Raises:
        UserError: there are no windows of one kind, or the number of the judge's answers is wrong.
    """
    if not active or not inactive:
        raise UserError(
            f"{len(active)} active and {len(inactive)} inactive windows cannot be scored;"
            " give at least one of each"
        )
    hidden = [Example(w.tokens, (0.0,) * len(w.tokens), w.first) for w in (*active, *inactive)]
    predicted = judge.judge(explanation, hidden)
    if len(predicted) != len(hidden):
        raise UserError(f"the judge gave {len(predicted)} answers for {len(hidden)} windows")
    return balanced_accuracy(np.array(predicted[: len(active)]), np.array(predicted[len(active) :]))


def balanced_accuracy(
    on_active: Bool[ndarray, " active"], on_inactive: Bool[ndarray, " inactive"]
) -> float:
    """Average the accuracies on active and on inactive windows."""
    return 0.5 * float(on_active.mean()) + 0.5 * float(1.0 - on_inactive.mean())
