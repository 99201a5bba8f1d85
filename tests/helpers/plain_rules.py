"""Rules applied and scored token by token, and read back from their text: the plain way.

The package tests packed windows instead; the tests compare both.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audit.evaluation.explanation.config import RuleConfig
from audit.evaluation.explanation.heldout_text import HeldoutText, balanced_accuracy
from audit.evaluation.explanation.learner import learn
from audit.evaluation.explanation.rules import NEVER, PLACES, Predicate, Rule
from audit.evaluation.explanation.tokens import CLASSES, SPACE
from audit.evaluation.explanation.windows import LENGTH, Vocabulary, Windows, packed

_FORM = re.compile(
    r"position < (?P<below>\d+)"
    r"|(?P<place>token|previous|two before) (?:is (?P<one>\"(?:[^\"\\]|\\.)*\")"
    r"|in \{(?P<several>(?:\"(?:[^\"\\]|\\.)*\"(?:, )?)+)\}"
    r"|is (?P<kind>" + "|".join(re.escape(name) for name in CLASSES) + "))"
)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"")
_UNESCAPED = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))")


class Example(NamedTuple):
    """One window of text."""

    tokens: tuple[str, ...]
    strengths: tuple[float, ...]
    """The latent's value at each token, 0 where it does not fire."""
    first: int = 0
    """Position of the first token in its context."""


def examples(text: HeldoutText, rows, values, which) -> list[Example]:
    """Windows with the strengths of a latent."""
    # The separator before each context is not a sample: its strength stays zero.
    strengths = np.zeros((len(text.windows) * LENGTH // (text.length + 1), text.length + 1))
    strengths[rows // text.length, rows % text.length + 1] = values
    texts, of_windows = text.windows.vocabulary.texts, strengths.reshape(-1, LENGTH)
    return [
        Example(
            tuple(texts[token] for token in text.windows.tokens[w]),
            tuple(of_windows[w].tolist()),
            int(text.windows.first[w]),
        )
        for w in which
    ]


def learned_rule(
    active: Sequence[Example],
    inactive: Sequence[Example],
    config: RuleConfig,
    texts: Sequence[str] = (),
) -> Rule:
    """Learn from windows of at most 32 tokens; the order of `texts` breaks ties."""
    seen = {token for window in (*active, *inactive) for token in window.tokens}
    # Short windows are padded with the last token, which belongs to no class.
    texts = [*(texts or sorted(seen)), ""]
    vocabulary = Vocabulary(texts, separator=len(texts) - 1)
    fires = np.array([_filled([s > 0 for s in e.strengths], False) for e in active])
    return learn(
        _windows(active, vocabulary), packed(fires), _windows(inactive, vocabulary), config
    )


def detection_score(rule: Rule, active: Sequence[Example], inactive: Sequence[Example]) -> float:
    """Balanced accuracy of a rule."""
    found = (
        np.array([any(marks(rule, w.tokens, w.first)) for w in windows])
        for windows in (active, inactive)
    )
    return balanced_accuracy(*found)


def marks(rule: Rule, tokens: Sequence[str], first: int = 0) -> list[bool]:
    """Test a rule at each token of a window."""
    return [
        any(all(holds(each, tokens, at, first) for each in clause) for clause in rule.clauses)
        for at in range(len(tokens))
    ]


def holds(predicate: Predicate, tokens: Sequence[str], at: int, first: int = 0) -> bool:
    """Test a predicate at place `at` of a window that begins at position `first`."""
    if predicate.kind == "position":
        return first + at < predicate.below
    if at < predicate.back:
        return False
    token, values = tokens[at - predicate.back], predicate.values
    return CLASSES[values[0]](token) if predicate.kind == "class" else token in values


def parse(text: str) -> Rule:
    """Read a rule from its text."""
    if text == NEVER:
        return Rule()
    clauses: list[list[Predicate]] = [[]]
    for found in re.finditer(rf"(?P<or> or )|(?P<predicate>{_FORM.pattern})", text):
        if found["or"]:
            clauses.append([])
        else:
            clauses[-1].append(_predicate(found))
    return Rule(tuple(tuple(clause) for clause in clauses))


def _predicate(found: re.Match) -> Predicate:
    if found["below"]:
        return Predicate("position", 0, below=int(found["below"]))
    back = PLACES.index(found["place"])
    if found["kind"]:
        return Predicate("class", back, (found["kind"],))
    quoted = _QUOTED.findall(found["one"] or found["several"])
    return Predicate("is", back, tuple(unquote(each) for each in quoted))


def unquote(quoted: str) -> str:
    """Return the token of a quoted form: the inverse of `quote`."""
    return _ESCAPE.sub(_unescape, quoted[1:-1].replace(SPACE, " "))


def _unescape(found: re.Match) -> str:
    return chr(int(found[1], 16)) if found[1] else _UNESCAPED[found[2]]


def _windows(examples: Sequence[Example], vocabulary: Vocabulary) -> Windows:
    filling = len(vocabulary.texts) - 1
    tokens = [_filled([vocabulary.number[t] for t in e.tokens], filling) for e in examples]
    contexts = np.array(tokens, np.int64).reshape(-1, LENGTH)
    first = np.array([example.first for example in examples], np.int64)
    return Windows(vocabulary, contexts, first, packed(vocabulary.classes[:, contexts]))


def _filled(values: list, filling: int | bool) -> list:
    return values + [filling] * (LENGTH - len(values))
