r"""Macros such as `\result{address}`, which print every number of the text by its address.

`\result` prints the value, `\resultinterval` its interval, `\resultintervalname` what the
interval is, `\resultchance` the chance level, `\resulttext` a string, `\claimed{C01}` a
report's own figure from the ledger, `\claim{C01}` a claim's id, with its letter or without,
`\tally{transfers}` how many claims have a verdict, `\edition{date}` a fact about the locked run.
All uses are looked up before TeX runs, and written to one file, `values.tex`. A missing address
stops the build with the file and line of its use.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from audit.ledger.quantities import supported_digits
from audit.manuscript.edition import Edition, ValueSource
from audit.manuscript.latex import Latex, escaped, line_of, number, unit_behind, without_comments
from seedstability.errors import UserError

_USE = re.compile(
    r"\\(result|resultinterval|resultintervalname|resultchance|resulttext|claimed|claim|tally|edition)"
    r"\s*\{([^{}]*)\}"
)


@dataclass(frozen=True)
class Source:
    """A TeX file of the paper, or a rendered template."""

    name: str
    """Path from the repository's root, such as `paper/sections/chance.tex`."""
    text: str
    """Content of the file."""


@dataclass(frozen=True)
class Use:
    """One use of a macro in the text."""

    macro: str
    """Name of the macro, without the backslash."""
    address: str
    """Its argument."""
    place: str
    """`file:line`."""


def uses(source: Source) -> Iterator[Use]:
    """Yield each use of a macro in a file, in order, except in comments."""
    text = without_comments(source.text)
    for found in _USE.finditer(text):
        place = f"{source.name}:{line_of(text, found.start())}"
        yield Use(found[1], found[2].strip(), place)


def values_tex(sources: Iterable[Source], edition: Edition) -> str:
    """Content of `values.tex`: the text of each used macro, one per line, in a fixed order.

    Raises:
        UserError: a missing value, with file, line and near names.
    """
    defined: dict[tuple[str, str], Latex] = {}
    for source in sources:
        for use in uses(source):
            if (use.macro, use.address) not in defined:
                defined[use.macro, use.address] = printed(use, edition)
    lines = [
        f"\\definevalue{{{macro}}}{{{address}}}{{{text}}}"
        for (macro, address), text in sorted(defined.items())
    ]
    return "\n".join(["% Written by the build from the locked values; edits are lost.", *lines, ""])


def printed(use: Use, edition: Edition) -> Latex:
    """Text that one use prints.

    Raises:
        UserError: a missing value, with the place of its use.
    """
    try:
        if use.macro == "claimed":
            return escaped(_look_up(use.address, edition.claimed, "figure of a claim"))
        if use.macro == "claim":
            ids = {id: id for each in edition.claims for id in (each.claim.id, each.claim.base)}
            return escaped(_look_up(use.address, ids, "claim"))
        if use.macro == "tally":
            return escaped(_look_up(use.address, edition.tally, "count of the ledger"))
        if use.macro == "edition":
            return escaped(_look_up(use.address, edition.facts, "fact about the locked run"))
        return RENDERERS[use.macro](edition.values, use.address)
    except (UserError, ValueError) as problem:
        raise UserError(f"{use.place}: \\{use.macro}{{{use.address}}}: {problem}") from None


def value(values: ValueSource, address: str) -> Latex:
    """The number at an address with its unit."""
    scalar = values.scalar(address)
    return number(scalar.value, supported_digits(scalar), scalar.unit)


def interval(values: ValueSource, address: str) -> Latex:
    """The interval around the number at an address, as `[low, high]`."""
    scalar = values.scalar(address)
    if scalar.low is None or scalar.high is None:
        raise UserError("this value has no interval; use \\result, or give the result one")
    low, high = (number(end, supported_digits(scalar)) for end in (scalar.low, scalar.high))
    return Latex(f"[{low}, {high}]{unit_behind(scalar.unit)}")


def interval_name(values: ValueSource, address: str) -> Latex:
    """Name of the interval at an address, such as a jackknife over twenty seeds."""
    name = values.scalar(address).interval
    if not name:
        raise UserError("this value does not say what its interval is")
    return escaped(name)


def chance(values: ValueSource, address: str) -> Latex:
    """Chance level of the number at an address."""
    scalar = values.scalar(address)
    if scalar.chance is None:
        raise UserError("this value has no chance level; give the result one, or drop the macro")
    return number(scalar.chance, supported_digits(scalar), scalar.unit)


def text(values: ValueSource, address: str) -> Latex:
    """The string at an address."""
    return escaped(values.text(address))


RENDERERS: dict[str, Callable[[ValueSource, str], Latex]] = {
    "result": value,
    "resultinterval": interval,
    "resultintervalname": interval_name,
    "resultchance": chance,
    "resulttext": text,
}


def _look_up(name: str, known: dict[str, str], what: str) -> str:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or list(known)[:3]
    hint = f"; near: {', '.join(near)}" if near else ""
    raise UserError(f"no {what} of this name{hint}")
