r"""Sentences bound to results: `\holds{predicate}{sentence}` stops the build where it is false.

A predicate compares addresses with each other or with numbers, as in
`tokens.contrasts.variety.kappa.high < 0.05 and a.b > c.d`. An address stands for its value; `.low`,
`.high` and `.chance` behind it for the ends of its interval and its chance level, and for an
array's element `[0]`, `[-1]`. There are `+ - * /`, `and`, `or`, `not`, chained comparisons, and:

- `clear(x, y)`: the intervals of x and y share no point; y may be a number;
- `within(x, margin)`: the whole interval of x lies between −margin and margin;
- `rising(x, …)`, `falling(x, …)`: an array, or several values, in strict order;
- `largest(x, y, …)`, `smallest(x, y, …)`: the first exceeds, or falls below, all others;
- `abs`, `min`, `max`, `len`. A comparison with an array must hold for each element.

In Markdown, an item of a list is bound by `<!-- holds: predicate -->` at its end.

Predicates are held against the values of profile `paper`; other profiles only need the addresses.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit.manuscript.edition import Edition, ValueSource
from audit.manuscript.latex import line_of, without_comments
from audit.manuscript.macros import Source
from audit.pipeline.results import Array, Scalar
from seedstability.errors import UserError
from seedstability.stability.statistics.equivalence import equivalent

_START = re.compile(r"\\holds\s*\{([^{}]*)\}\s*\{")
_ITEM = re.compile(r"(?ms)^- (?P<item>(?:(?!^- ).)*?)<!-- holds: (?P<predicate>.*?)-->")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")
_ENDS = ("low", "high", "chance")


@dataclass(frozen=True)
class Holds:
    """One sentence with the predicate that it rests on."""

    predicate: str
    """As typed."""
    sentence: str
    """LaTeX of the sentence."""
    place: str
    """`file:line`."""


def bound_sentences(source: Source) -> Iterator[Holds]:
    """Yield each use of `\\holds` in a file, in order, except in comments.

    Raises:
        UserError: the sentence has no closing brace.
    """
    if source.name.endswith(".md"):
        yield from _bound_items(source)
        return
    text = without_comments(source.text)
    for start in _START.finditer(text):
        place = f"{source.name}:{line_of(text, start.start())}"
        end = closing_brace(text, start.end())
        if end is None:
            raise UserError(f"{place}: \\holds{{{start[1]}}}{{…: the sentence has no closing brace")
        yield Holds(" ".join(start[1].split()), text[start.end() : end], place)


def _bound_items(source: Source) -> Iterator[Holds]:
    """Yield each item of a Markdown list that ends with `<!-- holds: predicate -->`."""
    for found in _ITEM.finditer(source.text):
        place = f"{source.name}:{line_of(source.text, found.start())}"
        yield Holds(" ".join(found["predicate"].split()), found["item"].strip(), place)


def closing_brace(text: str, start: int) -> int | None:
    """Position of the brace that closes an argument that starts at `start`."""
    depth = 1
    for at in range(start, len(text)):
        if text[at] in "{}" and text[at - 1] != "\\":
            depth += 1 if text[at] == "{" else -1
            if not depth:
                return at
    return None


def check(sources: Iterable[Source], edition: Edition) -> None:
    """Check every bound sentence.

    Raises:
        UserError: a predicate that is false or cannot be read, with file, line, sentence and
            values.
    """
    for source in sources:
        for holds in bound_sentences(source):
            true, values = evaluate(holds, edition.values)
            if not true and edition.profile == "paper":
                sentence = " ".join(holds.sentence.split())
                raise UserError(
                    f"{holds.place}: “{sentence}” does not hold: {holds.predicate}, but {values}"
                )


def addresses(predicate: str) -> set[str]:
    """The addresses whose values, ends of intervals or chance levels a predicate reads."""
    found = set(_ADDRESS.findall(predicate))
    return found | {name.rpartition(".")[0] for name in found if name.endswith(_ENDS)}


def evaluate(holds: Holds, values: ValueSource) -> tuple[bool, str]:
    """Whether a predicate is true, and the values that it read, as text.

    Raises:
        UserError: with the place, a predicate that cannot be read or a missing value.
    """
    read: dict[str, Any] = {}

    def name_of(address: re.Match) -> str:
        name = f"_{len(read)}"
        read[name] = (address[0], _look_up(values, address[0]))
        return name

    try:
        tree = ast.parse(_ADDRESS.sub(name_of, holds.predicate), mode="eval")
        found = _value(tree.body, {name: value for name, (_, value) in read.items()})
        if not isinstance(found, bool | np.bool_):
            raise ValueError("it is no comparison")
    except SyntaxError:
        raise UserError(f"{holds.place}: \\holds{{{holds.predicate}}} cannot be read") from None
    except (UserError, ValueError, TypeError, IndexError) as problem:
        raise UserError(f"{holds.place}: \\holds{{{holds.predicate}}}: {problem}") from None
    told = dict(read.values())
    return bool(found), ", ".join(f"{address} is {_told(value)}" for address, value in told.items())


def _look_up(values: ValueSource, address: str) -> Any:
    """A scalar, a plain number, a text or an array."""
    parent, _, name = address.rpartition(".")
    if address not in values and name in _ENDS and parent in values:
        end = getattr(values.scalar(parent), name)
        if end is None:
            raise UserError(f"{parent} has no {name}")
        return end
    leaf = values.leaf(address)
    return np.asarray(leaf.values) if isinstance(leaf, Array) else leaf


def _value(node: ast.AST, names: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int() | float() | str() as value):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_number(_value(operand, names)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_number(_value(left, names)), _number(_value(right, names)))
        case ast.BoolOp(op=op, values=parts):
            found = [_value(part, names) for part in parts]
            return all(found) if isinstance(op, ast.And) else any(found)
        case ast.Compare(left=left, ops=ops, comparators=others) if {*map(type, ops)} <= {*_ORDER}:
            sides = [_number(_value(side, names)) for side in (left, *others)]
            pairs = zip(sides, ops, sides[1:], strict=False)
            return np.all([_ORDER[type(op)](one, other) for one, op, other in pairs])
        case ast.Subscript(value=array, slice=at):
            return _value(array, names)[_value(at, names)]
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(each, names) for each in given))
    raise ValueError(f"{ast.unparse(node)} is none of what a predicate may hold")


def _number(value: Any) -> Any:
    return value.value if isinstance(value, Scalar) else value


def _ends(value: Any) -> tuple[float, float]:
    if not isinstance(value, Scalar):
        return value, value
    if value.low is None or value.high is None:
        raise ValueError("one of the values has no interval")
    return value.low, value.high


def _clear(one: Any, other: Any) -> bool:
    (low, high), (other_low, other_high) = _ends(one), _ends(other)
    return high < other_low or low > other_high


def _within(one: Any, margin: float) -> bool:
    return equivalent(*_ends(one), margin)


def _in_order(values: tuple, order: Callable) -> bool:
    row = np.array([_number(value) for value in values]) if len(values) > 1 else values[0]
    return bool(order(row[1:], row[:-1]).all())


_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.Not: operator.not_}
_BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ORDER: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": lambda x: abs(_number(x)),
    "min": lambda *x: np.min([_number(each) for each in x]),
    "max": lambda *x: np.max([_number(each) for each in x]),
    "len": len,
    "clear": _clear,
    "within": _within,
    "rising": lambda *x: _in_order(x, np.greater),
    "falling": lambda *x: _in_order(x, np.less),
    "largest": lambda x, *others: all(_number(x) > _number(other) for other in others),
    "smallest": lambda x, *others: all(_number(x) < _number(other) for other in others),
}


def _told(value: Any) -> str:
    if isinstance(value, Scalar):
        ends = (
            "" if value.low is None or value.high is None else f" [{value.low:g}, {value.high:g}]"
        )
        return f"{value.value:g}{ends}"
    return f"{value:g}" if isinstance(value, float) else str(value)
