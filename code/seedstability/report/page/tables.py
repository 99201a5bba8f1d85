"""Tables of the page: words and numbers of their cells from the document."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seedstability.report.levels import strongest
from seedstability.report.page.terms import LEVELS, SCOPES, UNKNOWN, Term, number, term

Document = Mapping[str, Any]


class Cell(NamedTuple):
    """A number with its interval."""

    text: str
    bounds: str = ""
    label: str = ""
    """Kind of interval."""

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return self.text != UNKNOWN


class Level(NamedTuple):
    """A chance level, and κ against it."""

    chance: Cell
    kappa: Cell


class Measure(NamedTuple):
    """One row of a table of measures."""

    term: Term
    value: Cell
    levels: tuple[Level, ...]
    p: Cell


class Scope(NamedTuple):
    """The table of measures over one set of latents."""

    heading: str
    rows: tuple[Measure, ...]

    @property
    def columns(self) -> list[tuple[str, int]]:
        """Names of the chance levels that any row has, and their places in its levels."""
        return [
            (name, place)
            for place, name in enumerate(LEVELS.values())
            if any(row.levels[place].chance.known for row in self.rows)
        ]

    @property
    def tested(self) -> bool:
        """Whether any row has a p-value."""
        return any(row.p.known for row in self.rows)

    @property
    def label(self) -> str:
        """Kind of the intervals of the values, if they are all of one kind."""
        return common(row.value for row in self.rows)

    @property
    def kappa_label(self) -> str:
        """Kind of the intervals of κ, if they are all of one kind."""
        return common(level.kappa for row in self.rows for level in row.levels)


def measures(document: Document) -> list[Scope]:
    """One table per scope, in the order of the document."""
    threshold = document["settings"].get("threshold", 0.7)
    return [
        Scope(
            SCOPES.get(scope, scope),
            tuple(_measure(term(name, threshold), each) for name, each in statistics.items()),
        )
        for scope, statistics in document["measures"].items()
        if statistics
    ]


class HeadlineRow(NamedTuple):
    """A measure with the strongest chance level that it has."""

    term: Term
    value: Cell
    level: str
    """Name of that level."""
    chance: Cell
    kappa: Cell
    p: Cell


_HEADLINES = ("max_cosine", "max_abs_cosine", "matched_mean", "shared", "agreeing")


def headline(document: Document) -> list[HeadlineRow]:
    """The share of latents that recur, and the measures that most readers want."""
    found, full = document["reproducibility"], document["measures"]["full"]
    threshold = document["settings"].get("threshold", 0.7)
    shares = found["thresholds"][f"{threshold:g}"]
    recurring = Term(f"latents that recur, at {threshold:g}", "")
    rows = [
        _headline(recurring, {**_percent(shares["mean"]), "chance": _percent(shares["chance"])})
    ]
    return rows + [
        _headline(term(name, threshold), full[name]) for name in _HEADLINES if full.get(name)
    ]


def _headline(called: Term, found: Mapping[str, Any]) -> HeadlineRow:
    unit = found.get("unit") or ""
    level = strongest(found["chance"])
    kappa = (found.get("kappa") or {}).get(level)
    chance = Cell(number(found["chance"][level], unit))
    return HeadlineRow(
        called, estimate(found, unit), LEVELS[level], chance, estimate(kappa), _p(found)
    )


def _percent(shares: Mapping[str, Any]) -> dict[str, Any]:
    """Shares in percent, with that unit."""
    scaled = {
        name: 100 * value if isinstance(value, int | float) else value
        for name, value in shares.items()
    }
    return {**scaled, "unit": "%"}


def _measure(called: Term, found: Mapping[str, Any]) -> Measure:
    unit = found.get("unit") or ""
    chance, kappa = found.get("chance") or {}, found.get("kappa") or {}
    levels = (Level(Cell(number(chance.get(x), unit)), estimate(kappa.get(x))) for x in LEVELS)
    return Measure(called, estimate(found, unit), tuple(levels), _p(found))


def _p(found: Mapping[str, Any]) -> Cell:
    p = found.get("p_gauge")
    return Cell(number(p, digits=2 if p is None or p >= 0.01 else 4))


class DifferenceRow(NamedTuple):
    """A setting in which dictionaries differ, and its value in each."""

    setting: str
    values: tuple[str, ...]


def differences(document: Document) -> list[DifferenceRow]:
    """One row per setting besides the seed in which the dictionaries differ."""
    return [
        DifferenceRow(each["setting"], tuple(_stated(value) for value in each["values"]))
        for each in document["inputs"]["differences"]
    ]


def _stated(value: Any) -> str:
    return "not stated" if value is None else str(value)


def glossary(document: Document) -> list[Term]:
    """Definitions of the measures that occur, each once."""
    threshold = document["settings"].get("threshold", 0.7)
    every = [name for statistics in document["measures"].values() for name in statistics or ()]
    # Encoder statistics are the same measures of other rows; one sentence says so.
    names = dict.fromkeys(name.removeprefix("encoder_") for name in every)
    return [found for name in names if (found := term(name, threshold)).meaning]


def estimate(found: Any, unit: str = "") -> Cell:
    """Cell with a number and its interval, if it has one."""
    if not isinstance(found, Mapping):
        return Cell(number(found, unit))
    low, high = found.get("low"), found.get("high")
    # With one pair both ends equal the value.
    if low is None or high is None or low == high:
        return Cell(number(found.get("value"), unit))
    bounds = f"[{number(low, unit)}, {number(high, unit)}]"
    return Cell(number(found.get("value"), unit), bounds, found.get("interval") or "")


def common(cells: Iterable[Cell]) -> str:
    """Common label of all intervals; empty if they differ."""
    labels = {cell.label for cell in cells if cell.bounds}
    return labels.pop() if len(labels) == 1 else ""


class GroupRow(NamedTuple):
    """A measure within two groups of dictionaries and between them."""

    term: Term
    within: tuple[Cell, ...]
    between: Cell
    difference: Cell
    level: str
    chance: Cell


def groups(document: Document) -> list[GroupRow]:
    """One row per measure; none without groups."""
    threshold = document["settings"].get("threshold", 0.7)
    found = document.get("groups")
    return [
        GroupRow(
            term(name, threshold),
            tuple(estimate(each, its["unit"]) for each in its["within"]),
            estimate(its["between"], its["unit"]),
            estimate(its["difference"], its["unit"]),
            LEVELS[its["level"]],
            Cell(number(its["chance"], its["unit"])),
        )
        for name, its in (found["measures"] if found else {}).items()
    ]


class StepRow(NamedTuple):
    """A checkpoint beside the next and the last one."""

    step: str
    to_next: tuple[str, ...]
    """Mean cosines of the same latent, the best and the one-to-one partner."""
    to_last: tuple[str, ...]


def steps(document: Document) -> list[StepRow]:
    """One row per checkpoint; none for dictionaries of several seeds."""
    found = document.get("over_time")
    if not found:
        return []
    kinds = ("same_latent", "best", "matched")
    return [
        StepRow(
            f"{step:,}",
            tuple(number(found["to_next"][kind][place]) for kind in kinds),
            tuple(number(found["to_last"][kind][place]) for kind in kinds),
        )
        for place, step in enumerate(found["steps"])
    ]


class CampRow(NamedTuple):
    """Recurrence at one threshold."""

    threshold: str
    shares: tuple[Cell, ...]
    """Mean p̂, and the shares of stable, in-between and unstable latents."""
    chance: tuple[Cell, ...]
    """Mean p̂ under the four levels, weakest first."""


_CAMPS = ("mean", "stable", "between", "unstable")


def camps(document: Document) -> list[CampRow]:
    """One row per threshold, lowest first; live latents after all latents."""
    found = document.get("reproducibility") or {}
    every, live = found.get("thresholds") or {}, found.get("live") or {}
    return [
        *(_camp(key, every[key]) for key in sorted(every, key=float)),
        *(_camp(f"{key}, live latents", live[key]) for key in sorted(live, key=float)),
    ]


def _camp(name: str, found: Mapping[str, Any]) -> CampRow:
    chance = found.get("chance") or {}
    return CampRow(
        name,
        tuple(estimate(found.get(camp)) for camp in _CAMPS),
        tuple(estimate(chance.get(level)) for level in LEVELS),
    )


class OverlapRow(NamedTuple):
    """Overlap of the leading subspaces of two dictionaries, at one dimension."""

    dimensions: str
    overlap: Cell
    chance: Cell


def overlaps(document: Document) -> list[OverlapRow]:
    """One row per dimension, smallest first."""
    found = document.get("subspaces") or {}
    return [
        OverlapRow(key, estimate(found[key].get("overlap")), estimate(found[key].get("chance")))
        for key in sorted(found, key=int)
    ]
