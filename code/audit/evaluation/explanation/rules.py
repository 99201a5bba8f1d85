"""Rules: explanations made of a few predicates about a token and the two before it.

A rule is a disjunction of conjunctions of predicates, such as

    token in {"·the", "·a"} or (token is digits and previous is "(")

It marks the tokens at which it holds, and a window in which it marks one. Its text is complete:
`parse(str(rule)) == rule`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from audit.evaluation.explanation.tokens import CLASSES, quote, unquote
from seedstability.errors import UserError

PLACES = ("token", "previous", "two before")
"""Names of the token itself and of those one and two places before it."""
NEVER = "never"
"""The rule without predicates."""
_FORM = re.compile(
    r"position < (?P<below>\d+)"
    r"|(?P<place>token|previous|two before) (?:is (?P<one>\"(?:[^\"\\]|\\.)*\")"
    r"|in \{(?P<several>(?:\"(?:[^\"\\]|\\.)*\"(?:, )?)+)\}"
    r"|is (?P<kind>" + "|".join(re.escape(name) for name in CLASSES) + "))"
)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"")


class Predicate(NamedTuple):
    """A condition on one token of a window."""

    kind: str
    """`is` one of a set of tokens, `class`, or `position` in the context."""
    back: int
    """Places before the token, 0 to 2."""
    values: tuple[str, ...] = ()
    """Texts of the tokens, or the name of the class."""
    below: int = 0
    """The first position, counted from 0 in the context, at which `position` no longer holds."""

    def __str__(self) -> str:
        """Return the text of the predicate in a rule."""
        if self.kind == "position":
            return f"position < {self.below}"
        place = PLACES[self.back]
        if self.kind == "class":
            return f"{place} is {self.values[0]}"
        if len(self.values) == 1:
            return f"{place} is {quote(self.values[0])}"
        return f"{place} in {{{', '.join(map(quote, self.values))}}}"

    def holds(self, tokens: Sequence[str], at: int, first: int = 0) -> bool:
        """Test the predicate at place `at` of a window that begins at position `first`."""
        if self.kind == "position":
            return first + at < self.below
        if at < self.back:
            return False
        token = tokens[at - self.back]
        return CLASSES[self.values[0]](token) if self.kind == "class" else token in self.values


@dataclass(frozen=True)
class Rule:
    """A disjunction of conjunctions."""

    clauses: tuple[tuple[Predicate, ...], ...] = ()
    """Each clause holds where all of its predicates hold."""

    @property
    def length(self) -> int:
        """Count predicates, each token of a set as one."""
        return sum(max(1, len(each.values)) for clause in self.clauses for each in clause)

    def __str__(self) -> str:
        """Return the text of the rule, which `parse` inverts."""
        clauses = [" and ".join(map(str, clause)) for clause in self.clauses]
        if len(clauses) > 1:
            clauses = [f"({text})" if " and " in text else text for text in clauses]
        return " or ".join(clauses) or NEVER

    def marks(self, tokens: Sequence[str], first: int = 0) -> list[bool]:
        """Test the rule at each token of a window."""
        return [
            any(all(each.holds(tokens, at, first) for each in clause) for clause in self.clauses)
            for at in range(len(tokens))
        ]


def merge_token_sets(clauses: Sequence[tuple[Predicate, ...]]) -> Rule:
    """Build a rule from clauses, merging single tokens at one place into a set."""
    kept: list[tuple[Predicate, ...]] = []
    place: dict[int, int] = {}
    for clause in clauses:
        [first, *more] = clause
        if more or first.kind != "is":
            kept.append(clause)
        elif first.back in place:
            [known] = kept[place[first.back]]
            kept[place[first.back]] = (known._replace(values=known.values + first.values),)
        else:
            place[first.back] = len(kept)
            kept.append(clause)
    return Rule(tuple(kept))


def parse(text: str) -> Rule:
    """Parse the text of a rule.

    Raises:
        UserError: the text is not a rule; names the first position that does not parse.
    """
    if text == NEVER:
        return Rule()
    clauses: list[list[Predicate]] = [[]]
    at, expected = 0, True
    while at < len(text):
        if text[at] in "()":
            at += 1
            continue
        joint = re.compile(r" (and|or) ").match(text, at)
        found = _FORM.match(text, at)
        if expected and found:
            clauses[-1].append(_predicate(found))
            at = found.end()
        elif not expected and joint:
            if joint[1] == "or":
                clauses.append([])
            at = joint.end()
        else:
            break
        expected = not expected
    if at < len(text) or expected:
        raise UserError(
            f"{text!r} is not a rule from character {at} on; a rule looks like"
            ' token in {"·the", "·a"} or (token is digits and previous is "(")'
        )
    return Rule(tuple(tuple(clause) for clause in clauses))


def _predicate(found: re.Match) -> Predicate:
    if found["below"]:
        return Predicate("position", 0, below=int(found["below"]))
    back = PLACES.index(found["place"])
    if found["kind"]:
        return Predicate("class", back, (found["kind"],))
    quoted = _QUOTED.findall(found["one"] or found["several"])
    return Predicate("is", back, tuple(unquote(each) for each in quoted))
