"""Windows of text, 32 tokens each, in which a predicate is one word of 32 bits.

A context of 128 tokens gives four windows. Bit i of a window's word belongs to its i-th token, so a
conjunction is an `and` of words, and the previous token is a shift by one. Windows are independent:
the first token of each has no previous one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32
from numpy import ndarray

from audit.evaluation.explanation.rules import Predicate, Rule
from audit.evaluation.explanation.tokens import CLASSES

LENGTH = 32


class Vocabulary:
    """Texts and classes of all tokens."""

    def __init__(self, texts: Sequence[str], separator: int = -1):
        """Classify each token once.

        Args:
            texts: texts of the tokens, by number, all different.
            separator: number of the token that precedes a text and belongs to no class.
        """
        self.texts = list(texts)
        self.number = {text: number for number, text in enumerate(texts)}
        self.classes = np.array([[belongs(text) for text in texts] for belongs in CLASSES.values()])
        if separator >= 0:
            self.classes[:, separator] = False


@dataclass(frozen=True)
class Windows:
    """Text cut into windows."""

    vocabulary: Vocabulary
    """The vocabulary of the tokens."""
    tokens: Int[ndarray, "w 32"]
    """Numbers of the tokens."""
    first: Int[ndarray, " w"]
    """Position of each window's first token in its context."""
    classes: UInt32[ndarray, "classes w"]
    """Tokens of each class as bits, in the order of `CLASSES`."""

    @classmethod
    def of(cls, contexts: Int[ndarray, "c length"], vocabulary: Vocabulary) -> "Windows":
        """Cut contexts, of a length that is a multiple of 32, into windows."""
        count, length = contexts.shape
        tokens = contexts.reshape(-1, LENGTH)
        first = np.tile(np.arange(0, length, LENGTH), count)
        return cls(vocabulary, tokens, first, packed(vocabulary.classes[:, tokens]))

    def __getitem__(self, rows: Int[ndarray, " rows"]) -> "Windows":
        """Select windows."""
        return Windows(self.vocabulary, self.tokens[rows], self.first[rows], self.classes[:, rows])

    def __len__(self) -> int:
        return len(self.tokens)

    def words(self, predicate: Predicate) -> UInt32[ndarray, " w"]:
        """Return the tokens at which a predicate holds, as bits."""
        if predicate.kind == "position":
            return packed(self.first[:, None] + np.arange(LENGTH) < predicate.below)
        if predicate.kind == "class":
            place = list(CLASSES).index(predicate.values[0])
            return shifted(self.classes[place], predicate.back)
        known = self.vocabulary.number
        wanted = [known[text] for text in predicate.values if text in known]
        return shifted(packed(np.isin(self.tokens, wanted)), predicate.back)

    def words_of_tokens(self, numbers: Int[ndarray, " k"]) -> UInt32[ndarray, "k w"]:
        """Return the positions of each of the given tokens, as bits."""
        return packed(self.tokens == numbers[:, None, None])

    def marked(self, rule: Rule) -> Bool[ndarray, " w"]:
        """Return the windows in which a rule holds at some token."""
        found = np.zeros(len(self), np.uint32)
        for clause in rule.clauses:
            found |= np.bitwise_and.reduce([self.words(predicate) for predicate in clause])
        return found != 0


class Activity(NamedTuple):
    """Windows and tokens at which one latent fires."""

    window: Int[ndarray, " active"]
    """Windows in which it fires, ascending."""
    word: UInt32[ndarray, " active"]
    """Tokens at which it fires in each, as bits."""
    strength: Float[ndarray, " active"]
    """Its largest value in each."""


def activity(
    rows: Int[ndarray, " firings"], values: Float[ndarray, " firings"], length: int
) -> Activity:
    """Convert a latent's firings on samples to windows.

    Args:
        rows: ascending numbers of samples: sample r is token r % `length` + 1 of context
            r // `length`, because token 0 is the separator, which is not a sample.
        values: the latent's value in each.
        length: samples of a context.
    """
    context, place = np.divmod(rows, length)
    place = place + 1
    windows, starts = np.unique(
        context * ((length + 1) // LENGTH) + place // LENGTH, return_index=True
    )
    bits = np.left_shift(np.uint32(1), (place % LENGTH).astype(np.uint32))
    if not len(rows):
        return Activity(windows, bits, values)
    return Activity(
        windows, np.bitwise_or.reduceat(bits, starts), np.maximum.reduceat(values, starts)
    )


def packed(bits: Bool[ndarray, "... 32"]) -> UInt32[ndarray, "..."]:
    """Pack 32 booleans into one word, the first in the lowest bit."""
    octets = np.ascontiguousarray(np.packbits(bits, axis=-1, bitorder="little"))
    return octets.view("<u4")[..., 0]


def unpacked(words: UInt32[ndarray, " w"]) -> Bool[ndarray, "w 32"]:
    """Unpack words into booleans: the inverse of `packed`."""
    return (words[:, None] >> np.arange(LENGTH, dtype=np.uint32) & 1).astype(bool)


def shifted(words: UInt32[ndarray, "..."], places: int) -> UInt32[ndarray, "..."]:
    """Shift words by a number of tokens; the first tokens of a window become 0."""
    return np.left_shift(words, np.uint32(places))
