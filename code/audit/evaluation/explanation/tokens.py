"""Texts and classes of tokens, and their quoted form."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

OPERATORS = frozenset("+-*/=<>%&|^~@!")
SPACE = "·"
"""Replaces a space in a quoted token; a plain space would be lost at the end of a line."""
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", " ": SPACE}


class Tokenizer(Protocol):
    """The part of `tokenizers.Tokenizer` that is needed here."""

    def get_vocab(self) -> Mapping[str, int]:
        """Map each token, in the byte-level alphabet, to its number."""


def texts_of(tokenizer: Tokenizer) -> list[str]:
    """Return the text of each token of a byte-level BPE, by number.

    Bytes that are not a complete character appear as `\\xe2`, a separator by its name.
    """
    byte_of = {character: byte for byte, character in enumerate(_alphabet())}
    texts = {}
    for token, number in tokenizer.get_vocab().items():
        known = all(character in byte_of for character in token)
        raw = bytes(byte_of[character] for character in token) if known else token.encode()
        texts[number] = raw.decode("utf-8", errors="backslashreplace")
    return [texts.get(number, f"<{number}>") for number in range(max(texts) + 1)]


def quote(text: str) -> str:
    """Quote a token, in ASCII except for the dot that replaces a space."""
    return '"' + "".join(_quote_character(character) for character in text) + '"'


def _is_capitalised(text: str) -> bool:
    letters = text.strip()
    return letters[:1].isupper() and not _is_capitals(text)


def _is_capitals(text: str) -> bool:
    return len(text.strip()) > 1 and text.strip().isupper()


def _is_made_of(characters: Sequence[str] | frozenset[str]) -> Callable[[str], bool]:
    return lambda text: bool(text.strip()) and set(text.strip()) <= set(characters)


def _has(characters: str) -> Callable[[str], bool]:
    return lambda text: any(character in characters for character in text)


CLASSES: Mapping[str, Callable[[str], bool]] = {
    "a word's start": lambda text: text[:1] == " " and text[1:2].isalpha(),
    "a word's rest": lambda text: text[:1].isalpha(),
    "lower case": lambda text: text.strip().isalpha() and text.islower(),
    "capitalised": _is_capitalised,
    "capitals": _is_capitals,
    "digits": lambda text: text.strip().isdigit(),
    "an operator": _is_made_of(OPERATORS),
    "an opening bracket": _has("([{"),
    "a closing bracket": _has(")]}"),
    "a quote": _has("\"'`"),
    "punctuation": _is_made_of(".,;:?"),
    "a line break": _has("\n"),
    "indentation": lambda text: text.isspace() and "\n" not in text,
    "with an underscore": _has("_"),
    "with a backslash": _has("\\"),
    "not ASCII": lambda text: not text.isascii(),
}
"""Case and punctuation classes, as they follow `token is`. A token may belong to several."""


def _quote_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    plain = character.isascii() and character.isprintable()
    return character if plain else f"\\u{{{ord(character):x}}}"


def _alphabet() -> list[str]:
    """Return the character that represents each byte in a byte-level BPE.

    Printable bytes represent themselves; the others take the characters from 256 on, in order
    (GPT-2's convention, which `tokenizers` follows).
    """
    itself = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in itself]
    place = {byte: 256 + index for index, byte in enumerate(others)}
    return [chr(place.get(byte, byte)) for byte in range(256)]
