"""Rules: explanations made of a few predicates about a token and the two before it.

A rule is a disjunction of conjunctions of predicates, such as

    token in {"·the", "·a"} or (token is digits and previous is "(")

It marks the tokens at which it holds, and a window in which it marks one. Its text is complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from audit.evaluation.explanation.tokens import quote

PLACES = ("token", "previous", "two before")
"""Names of the token itself and of those one and two places before it."""
NEVER = "never"
"""The rule without predicates."""


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
        """Return the text of the rule."""
        clauses = [" and ".join(map(str, clause)) for clause in self.clauses]
        if len(clauses) > 1:
            clauses = [f"({text})" if " and " in text else text for text in clauses]
        return " or ".join(clauses) or NEVER


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
