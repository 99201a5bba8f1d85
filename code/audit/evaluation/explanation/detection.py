"""Detection: does an explanation alone foretell in which windows a latent fires?

One interface for whoever explains and whoever judges: the rules of this package, a language model
behind an OpenAI-compatible endpoint, or a local one. Scoring follows delphi's detection
(Paulo et al. 2024, 2410.13928): windows with and without the latent, held out, balanced accuracy.
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
    """One window of text as an explainer sees it."""

    tokens: tuple[str, ...]
    """Texts of the tokens."""
    strengths: tuple[float, ...]
    """The latent's value at each, 0 where it does not fire."""
    first: int = 0
    """Position of the first token in its context."""


class Explainer(Protocol):
    """Says in words what a latent fires on."""

    def explain(self, active: Sequence[Example], inactive: Sequence[Example]) -> str:
        """The explanation.

        Args:
            active: windows in which the latent is strongest, the strongest first.
            inactive: windows in which it does not fire; nobody has to read them.
        """
        ...


class Judge(Protocol):
    """Foretells from an explanation where a latent fires."""

    def judge(self, explanation: str, windows: Sequence[Example]) -> list[bool]:
        """Whether it should fire in each window; the windows' strengths are hidden, all 0."""
        ...


def detection_score(
    explanation: str, judge: Judge, active: Sequence[Example], inactive: Sequence[Example]
) -> float:
    """Balanced accuracy of a judge who is given the explanation and no strengths.

    Args:
        explanation: what an explainer said of other windows.
        judge: who foretells.
        active, inactive: windows with and without the latent, at least one of each.

    Raises:
        UserError: for no windows of one kind, or a judge that answers for too few or too many.
    """
    if not active or not inactive:
        raise UserError(
            f"{len(active)} active and {len(inactive)} inactive windows cannot be scored;"
            " give at least one of each"
        )
    hidden = [Example(w.tokens, (0.0,) * len(w.tokens), w.first) for w in (*active, *inactive)]
    said = judge.judge(explanation, hidden)
    if len(said) != len(hidden):
        raise UserError(f"the judge gave {len(said)} answers for {len(hidden)} windows")
    return balanced_accuracy(np.array(said[: len(active)]), np.array(said[len(active) :]))


def balanced_accuracy(
    on_active: Bool[ndarray, "active"], on_inactive: Bool[ndarray, "inactive"]
) -> float:
    """Mean of the shares that are right among active and among inactive windows."""
    return 0.5 * float(on_active.mean()) + 0.5 * float(1.0 - on_inactive.mean())
