r"""Find typed figures in the manuscript; every number is printed from its address instead.

Digits are allowed in these places only:

1. comments;
2. what is never printed as a number: arguments of `\label`, of `\ref` and `\cite` and their
   variants, of `\input`, `\includegraphics`, `\url`, the first argument of `\href`, and arguments
   of the macros that print by address;
3. typesetting: optional arguments, column specifications, lengths, `\cmidrule`, the first
   arguments of `\multicolumn` and `\setcounter`, the files `macros.tex` and `preamble.tex`, and all
   that precedes `\begin{document}`;
4. ids of claims, such as C01 or C05a;
5. formulae: the integers 0, 1 and 2, which are bounds, exponents and halves there;
6. in templates: strings (they are addresses) and subscripts inside the delimiters, and the
   integers 0, 1 and 2 in statements.

Names with digits (models, hash functions) and the constants of definitions are macros of
`paper/names.tex`, which people review and this check skips.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from audit.manuscript.latex import line_of, without_comments
from audit.manuscript.macros import Source
from seedstability.errors import UserError

NOT_CHECKED = ("names.tex", "macros.tex", "preamble.tex")
_ARGUMENT = r"\s*\{[^{}]*\}"
_OPTION = r"\s*\[[^\[\]]*\]"
_COMMANDS_NEVER_PRINTED = (
    r"label|ref|eqref|pageref|autoref|nameref|cite[a-z]*\*?|input|include|includegraphics|url|href"
    r"|result|resultinterval|resultintervalname|resultchance|resulttext|claimed|edition|tally|holds|unbound"
    r"|paperfigure|paperfigurehere|papertable|madeby|cmidrule|multicolumn|multirow|setcounter|addtocounter"
    r"|vspace\*?|hspace\*?|bibliography|bibliographystyle|begin|end|hypertarget|hyperlink|externaldocument"
)
_ALLOWED = [
    re.compile(
        r"\\begin\{(?:tabular|tabularx|longtable|array)\*?\}"
        + rf"(?:{_OPTION})?(?:\{{\\textwidth\}})?"
        + r"\s*\{(?:[^{}]|\{[^{}]*\})*\}"
    ),
    re.compile(rf"\\(?:{_COMMANDS_NEVER_PRINTED})(?:{_OPTION}|\s*\([a-z]*\))*{_ARGUMENT}"),
    re.compile(r"\\(?:setlength|addtolength)" + _ARGUMENT + _ARGUMENT),
    re.compile(r"\\renewcommand\{\\arraystretch\}" + _ARGUMENT),
    re.compile(r"\\\\" + _OPTION),
    re.compile(r"\\(?!item|caption|(?:sub)*section|paragraph)[A-Za-z]+" + _OPTION),
    re.compile(r"\bC\d\d[a-z]?\b"),
]
_FORMULA = re.compile(
    r"\\begin\{(equation|align|gather|multline)(\*?)\}.*?\\end\{\1\2\}"
    r"|\\\[.*?\\\]|\\\(.*?\\\)|(?<!\\)\$.*?(?<!\\)\$",
    re.DOTALL,
)
_FORMULA_CONSTANT = re.compile(r"(?<![\d.,])[012](?![\d]|[.,]\d)")
_TEMPLATE_CODE = re.compile(r"<<.*?>>|<%.*?%>|<#.*?#>", re.DOTALL)
_HARMLESS_IN_CODE = re.compile(r"<#.*?#>|\"[^\"]*\"|'[^']*'|\[[^\[\]]*\]", re.DOTALL)
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")


@dataclass(frozen=True)
class TypedFigure:
    """A number typed in the text instead of printed from its address."""

    place: str
    """`file:line`."""
    digits: str
    """The number as typed."""
    line: str
    """The line that contains it."""


def typed_figures(source: Source) -> Iterator[TypedFigure]:
    """Yield each number typed in a file outside the places listed above, in order."""
    if PurePath(source.name).name in NOT_CHECKED:
        return
    text = without_comments(_blank_code(source.text))
    text = _blank_preamble(text)
    text = _FORMULA.sub(lambda m: _FORMULA_CONSTANT.sub(_blank, m[0]), text)
    for pattern in _ALLOWED:
        text = pattern.sub(_blank, text)
    lines = source.text.splitlines()
    for found in _NUMBER.finditer(text):
        line = line_of(text, found.start())
        yield TypedFigure(f"{source.name}:{line}", found[0], lines[line - 1].strip())


def check(source: Source) -> None:
    """Refuse a file with a typed figure.

    Raises:
        UserError: the first typed figure, with its place.
    """
    for figure in typed_figures(source):
        raise UserError(
            f"{figure.place}: the figure {figure.digits} is typed; print it by its address with"
            " \\result{…}, or name it in paper/names.tex if it is no result"
        )


def _blank(found: re.Match) -> str:
    """Blank a match but keep its line breaks, so that line numbers still hold."""
    return re.sub(r"[^\n]", " ", found[0])


def _blank_code(text: str) -> str:
    return _TEMPLATE_CODE.sub(lambda found: _code_left(found[0]), text)


def _code_left(code: str) -> str:
    """Blank everything in a template's code that cannot be a typed figure."""
    left = _HARMLESS_IN_CODE.sub(_blank, code)
    if code.startswith("<%"):
        left = _FORMULA_CONSTANT.sub(_blank, left)
    # The percent sign of a delimiter would start a comment.
    return left.replace("%", " ")


def _blank_preamble(text: str) -> str:
    preamble, begin, body = text.partition(r"\begin{document}")
    return re.sub(r"[^\n]", " ", preamble) + begin + body if begin else text
