"""Values as LaTeX: numbers, strings, and what a line of TeX says once its comments are gone."""

import math
import re

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # pdfTeX's fonts have none of these as characters; claims and units are written with them.
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "→": r"\ensuremath{\rightarrow}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "≈": r"\ensuremath{\approx}",
    "∈": r"\ensuremath{\in}",
    "²": r"\ensuremath{^2}",
    "κ": r"\ensuremath{\kappa}",
    "λ": r"\ensuremath{\lambda}",
    "μ": r"\ensuremath{\mu}",
    "σ": r"\ensuremath{\sigma}",
    "½": r"\ensuremath{\tfrac12}",
}
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")


class Latex(str):
    """Text that is LaTeX already and must not be escaped again."""

    __slots__ = ()


def escaped(text: str) -> Latex:
    """Plain text as LaTeX that prints the same characters."""
    if isinstance(text, Latex):
        return text
    return Latex("".join(_ESCAPED.get(character, character) for character in text))


def number(value: float, digits: int, unit: str = "") -> Latex:
    """A number as printed: `digits` decimals, a real minus, thousands grouped, its unit behind.

    Args:
        value: finite; anything else means that a result went wrong.
        digits: decimals, 0 for a count.
        unit: plain text; the per cent sign sits close, all others a thin space away.

    Raises:
        ValueError: when the value is no finite number.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be printed; a printed value must be a finite number")
    grouped = f"{value:,.{digits}f}".replace(",", "{,}")
    if grouped.startswith("-"):
        is_zero = not any(digit in grouped for digit in "123456789")
        grouped = grouped[1:] if is_zero else rf"\ensuremath{{{grouped}}}"
    return Latex(grouped + unit_behind(unit))


def unit_behind(unit: str) -> Latex:
    """A unit as it follows a number: the per cent sign close, all others a thin space away."""
    if not unit:
        return Latex()
    return Latex(("" if unit == "%" else r"\,") + escaped(unit))


def without_comments(text: str) -> str:
    """The same lines with everything behind an unescaped `%` gone, so line numbers still hold."""
    return _COMMENT.sub(r"\1", text)


def line_of(text: str, position: int) -> int:
    """Line number, from 1, of a character position."""
    return text.count("\n", 0, position) + 1
