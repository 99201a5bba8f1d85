"""Explainers and judges: the rules of this package, or any language model.

Rules need only the text. A language model is a `Completion`: an endpoint in `endpoint.py`, a local
folder in `local.py`, or anything else that completes a prompt.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from audit.evaluation.explanation import prompts
from audit.evaluation.explanation.config import RuleConfig
from audit.evaluation.explanation.detection import Example
from audit.evaluation.explanation.learner import learn
from audit.evaluation.explanation.rules import parse
from audit.evaluation.explanation.windows import LENGTH, Vocabulary, Windows, packed
from seedstability.errors import UserError

_LIST = re.compile(r"\[[^\[\]]*\]")


@dataclass(frozen=True)
class RuleExplainer:
    """Explains a latent by a learned rule, given as its text."""

    config: RuleConfig = field(default_factory=RuleConfig)
    """Penalty and limits."""
    texts: tuple[str, ...] = ()
    """The vocabulary, whose order breaks ties; if omitted, the tokens of the windows."""

    def explain(self, active: Sequence[Example], inactive: Sequence[Example]) -> str:
        """See `Explainer`; windows have at most 32 tokens."""
        seen = {token for window in (*active, *inactive) for token in window.tokens}
        # Short windows are padded with the last token, which belongs to no class.
        texts = [*(self.texts or sorted(seen)), ""]
        vocabulary = Vocabulary(texts, separator=len(texts) - 1)
        fires = np.array([_filled([s > 0 for s in e.strengths], False) for e in active])
        rule = learn(
            _windows(active, vocabulary), packed(fires), _windows(inactive, vocabulary), self.config
        )
        return str(rule)


@dataclass(frozen=True)
class RuleJudge:
    """Parses the explanation as a rule and applies it."""

    def judge(self, explanation: str, windows: Sequence[Example]) -> list[bool]:
        """See `Judge`.

        Raises:
            UserError: the explanation is not a rule.
        """
        rule = parse(explanation)
        return [any(rule.marks(window.tokens, window.first)) for window in windows]


class Completion(Protocol):
    """A language model that completes prompts."""

    def complete(self, instruction: str, question: str) -> str:
        """Return the model's answer."""
        ...


@dataclass(frozen=True)
class ModelExplainer:
    """Asks a language model what the windows have in common."""

    model: Completion
    """The language model."""
    shown: int = 20
    """Number of windows in the prompt, the strongest."""

    def explain(self, active: Sequence[Example], inactive: Sequence[Example]) -> str:
        """See `Explainer`; the inactive windows are not read."""
        reply = self.model.complete(prompts.EXPLAIN, prompts.explainer_prompt(active[: self.shown]))
        text = " ".join(reply.split())
        if not text:
            raise UserError("the explainer's reply is empty; ask another model, or ask again")
        return text


@dataclass(frozen=True)
class ModelJudge:
    """Asks a language model in which windows a latent with this explanation fires."""

    model: Completion
    """The language model."""
    at_once: int = 10
    """Windows in one question."""
    attempts: int = 3
    """Attempts at a question before malformed replies are an error."""

    def judge(self, explanation: str, windows: Sequence[Example]) -> list[bool]:
        """See `Judge`.

        Raises:
            UserError: the replies are not one 0 or 1 for each window.
        """
        answers: list[bool] = []
        for start in range(0, len(windows), self.at_once):
            answers += self._asked(explanation, windows[start : start + self.at_once])
        return answers

    def _asked(self, explanation: str, windows: Sequence[Example]) -> list[bool]:
        question = prompts.judge_prompt(explanation, windows)
        for _ in range(self.attempts):
            reply = self.model.complete(prompts.JUDGE, question)
            answers = _zeros_and_ones(reply)
            if len(answers) == len(windows):
                return answers
        raise UserError(
            f"the judge's reply {reply[:80]!r} is not a list of {len(windows)} zeros and ones;"
            " ask a model that follows instructions, or fewer windows at once"
        )


def _zeros_and_ones(reply: str) -> list[bool]:
    """Return the last list of zeros and ones in a reply, or an empty list."""
    lists = _LIST.findall(reply)
    try:
        values = json.loads(lists[-1]) if lists else []
    except ValueError:
        return []
    return [value == 1 for value in values] if all(v in (0, 1) for v in values) else []


def _windows(examples: Sequence[Example], vocabulary: Vocabulary) -> Windows:
    filling = len(vocabulary.texts) - 1
    tokens = [_filled([vocabulary.number[t] for t in e.tokens], filling) for e in examples]
    contexts = np.array(tokens, np.int64).reshape(-1, LENGTH)
    first = np.array([example.first for example in examples], np.int64)
    return Windows(vocabulary, contexts, first, packed(vocabulary.classes[:, contexts]))


def _filled(values: list, filling: int | bool) -> list:
    if len(values) > LENGTH:
        raise UserError(
            f"a window has {len(values)} tokens; rules are learned from at most {LENGTH}"
        )
    return values + [filling] * (LENGTH - len(values))
