"""LaTeX for numbers and strings, and LaTeX without its comments."""

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
    # Claims and units contain these characters, which pdfTeX's fonts lack.
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
    """Text that is LaTeX and must not be escaped again."""

    __slots__ = ()


def escaped(text: str) -> Latex:
    """Escape plain text, so that LaTeX prints the same characters."""
    if isinstance(text, Latex):
        return text
    return Latex("".join(_ESCAPED.get(character, character) for character in text))


def number(value: float, digits: int, unit: str = "") -> Latex:
    """Format a number: `digits` decimals, a minus sign, grouped thousands, and its unit.

    Args:
        value: a finite number.
        digits: decimals, 0 for a count.
        unit: plain text; a thin space precedes any but the percent sign.

    Raises:
        ValueError: the value is not finite, so that a result must be wrong.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be printed; a printed value must be a finite number")
    grouped = f"{value:,.{digits}f}".replace(",", "{,}")
    if grouped.startswith("-"):
        is_zero = not any(digit in grouped for digit in "123456789")
        grouped = grouped[1:] if is_zero else rf"\ensuremath{{{grouped}}}"
    return Latex(grouped + unit_behind(unit))


def unit_behind(unit: str) -> Latex:
    """Format a unit after a number; a thin space precedes any but the percent sign."""
    if not unit:
        return Latex()
    return Latex(("" if unit == "%" else r"\,") + escaped(unit))


def without_comments(text: str) -> str:
    """Remove comments, but keep all lines, so that line numbers still hold."""
    return _COMMENT.sub(r"\1", text)


def line_of(text: str, position: int) -> int:
    """Line number, from 1, of a character position."""
    return text.count("\n", 0, position) + 1
