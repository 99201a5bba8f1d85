r"""Find sentences that say something of a result in words and are not bound by `\holds`.

A sentence counts if it prints a result and holds a word of direction, order, size, change or
absence; a heading counts if it states something: it holds a verb or an absence and asks nothing.
What needs no predicate is marked `\unbound{reason}{sentence}`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from audit.manuscript.latex import line_of, without_comments
from audit.manuscript.macros import Source
from audit.manuscript.predicates import closing_brace

_BOUND = re.compile(r"\\(?:holds|unbound)\s*\{[^{}]*\}\s*\{")
_RESULT = re.compile(r"\\result(?:interval|text|chance)?\s*\{(?!\w+\.settings\.)")
_HEADING = re.compile(r"\\(?:(?:sub)*section|paragraph)\*?\s*\{")
_STATES = re.compile(
    r"\b(?:are|was|were|holds?|proves?|works?|rises?|falls?|grows?|than|no|none|never|nothing)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"(?:what|how|why|does|do|is)\b(?!:)|.*\?$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.?!:;])[})'\"]*(?=\s+(?:[A-Z\\$(]|$))|\n\s*\n|\\item\b|\\\\")
_WORDS = re.compile(
    r"\b(?:more|less|fewer|most(?:ly)?|least|larger|largest|smaller|smallest|higher|highest|lower"
    r"|lowest|greater|greatest|stronger|weaker|better|best|worse|closer|further|farther|above|below"
    r"|beyond|exceeds?|than|hardly|nearly|almost|barely|negligible|equal(?:ly)?|equivalent|same"
    r"|alike|rises?|rising|rose|falls?|falling|fell|grows?|growing|shrinks?|drops?|increases?"
    r"|increasing|decreases?|decreasing|gains?|loses?|doubles?|halves|levels? off|steep(?:er)?"
    r"|agrees?|confirms?|differs?|difference|contradicts?|excludes?|clear of|no|none|never|nothing"
    r"|neither|nor|without effect|only|half|twice|third|majority|minority|few|many)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Unbound:
    """A sentence about a result without a predicate."""

    place: str
    """`file:line` of its first result."""
    sentence: str
    """Its LaTeX on one line."""
    word: str
    """The first word that asks for a predicate."""


def unbound_sentences(source: Source) -> Iterator[Unbound]:
    """Yield each sentence of a file that asks for a predicate and has none, in order."""
    text = _blank_bound(without_comments(source.text))
    yield from _unbound_headings(source, text)
    start = 0
    for end in [*(found.end() for found in _SENTENCE_END.finditer(text)), len(text)]:
        sentence = text[start:end]
        result, word = _RESULT.search(sentence), _WORDS.search(_without_arguments(sentence))
        if result and word:
            place = f"{source.name}:{line_of(text, start + result.start())}"
            yield Unbound(place, " ".join(sentence.split()), word[0])
        start = end


def _unbound_headings(source: Source, text: str) -> Iterator[Unbound]:
    for found in _HEADING.finditer(text):
        heading = text[found.end() : closing_brace(text, found.end())].strip()
        word = _STATES.search(_without_arguments(heading))
        if word and not _ASKS.match(heading):
            yield Unbound(f"{source.name}:{line_of(text, found.start())}", heading, word[0])


def _blank_bound(text: str) -> str:
    """Blank bound sentences and keep line breaks, so that line numbers still hold."""
    while found := _BOUND.search(text):
        end = closing_brace(text, found.end()) or len(text)
        blank = re.sub(r"[^\n]", " ", text[found.start() : end + 1])
        text = text[: found.start()] + blank + text[end + 1 :]
    return text


def _without_arguments(sentence: str) -> str:
    """Leave out addresses, which may hold any word."""
    return re.sub(r"\\(?:result\w*|ref|claimed|cite\w*|label)\s*\{[^{}]*\}", "", sentence)
