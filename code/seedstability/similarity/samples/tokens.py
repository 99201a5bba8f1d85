"""Tokens of the samples, and the context of one."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedstability.errors import UserError

TokenSource = str | Path | Sequence[str] | Sequence[Sequence[str]]
_BEFORE, _AFTER = 8, 4


@dataclass(frozen=True)
class Tokens:
    """One token a sample, in the order of the activations."""

    words: Sequence[str]
    """The tokens."""
    starts: Sequence[int]
    """Where each context starts, and the end of the last."""

    def context(self, sample: int) -> str:
        """The tokens around that of a sample, which is marked, within its context."""
        after_start = bisect_right(self.starts, sample)
        first, last = self.starts[after_start - 1], self.starts[after_start]
        before = self.words[max(first, sample - _BEFORE) : sample]
        after = self.words[sample + 1 : min(last, sample + 1 + _AFTER)]
        return f"{''.join(before)}«{self.words[sample]}»{''.join(after)}"


def read_tokens(given: TokenSource, samples: int) -> Tokens:
    """Read the tokens of samples.

    Args:
        given: tokens, or contexts of tokens; or a .json file of either, or a .txt file with one
            token a line. A token is text, with the spaces that belong to it.
        samples: number of samples.

    Raises:
        UserError: for other things, or another number of tokens.
    """
    source = str(given) if isinstance(given, str | Path) else "the list of tokens"
    values = _read(Path(given)) if isinstance(given, str | Path) else given
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise UserError(f"{source} must hold tokens, or contexts of tokens: lists of text")
    flat = not values or isinstance(values[0], str)
    contexts: Sequence[Any] = [values] if flat else values
    words: list[str] = []
    starts = [0]
    for context in contexts:
        if not isinstance(context, Sequence) or not all(isinstance(word, str) for word in context):
            raise UserError(f"{source} holds other things than text; a token is text")
        words += context
        starts.append(len(words))
    if len(words) != samples:
        raise UserError(
            f"{source} holds {len(words):,} tokens for {samples:,} activations; each needs one"
        )
    return Tokens(words, starts)


def _read(path: Path) -> Sequence[str] | Sequence[Sequence[str]]:
    if path.suffix not in (".json", ".txt"):
        raise UserError(f"{path} is no file of tokens; need .json or .txt")
    try:
        text = path.read_text("utf-8")
        return text.removesuffix("\n").split("\n") if path.suffix == ".txt" else json.loads(text)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path} is not {path.suffix[1:]} in UTF-8: {error}") from None
