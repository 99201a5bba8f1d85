"""The ledger as people and programs read it: rows, a table, JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import TextIO

from audit.ledger.claims import Claim
from audit.ledger.verdicts import Judgement, Verdict
from audit.ledger.verify import Moved, Verified, tally

COLUMNS = ("id", "claim", "theirs", "ours", "chance", "verdict")
_COLORS = {
    Verdict.REPRODUCED: "green",
    Verdict.TRANSFERS: "green",
    Verdict.AT_CHANCE: "yellow",
    Verdict.DEFECT: "yellow",
    Verdict.CONTRADICTED: "red",
    Verdict.DOES_NOT_TRANSFER: "red",
    Verdict.MIXED: "yellow",
    Verdict.UNDECIDED: "magenta",
}


@dataclass(frozen=True)
class Row:
    """One line of the ledger, plain text in every column."""

    id: str
    """Of the claim; empty in the lines of its figures."""
    claim: str
    """The claim, or the figure, in our words."""
    theirs: str
    """As the report prints it."""
    ours: str
    """Ours with its interval."""
    chance: str
    """Chance level of the same statistic, empty where it has none."""
    verdict: str
    """Computed by rule."""


def summary(each: Verified) -> Row:
    """One line for the whole claim, its figures joined."""
    judgements = each.shown.judgements
    return Row(
        each.claim.id,
        each.claim.says,
        _joined(judgement.theirs for judgement in judgements),
        _joined(judgement.ours for judgement in judgements),
        _joined(judgement.chance for judgement in judgements),
        each.shown.verdict,
    )


def rows(each: Verified) -> list[Row]:
    """The lines of one claim: a single one, or the claim with its verdict and one a figure."""
    judgements = each.shown.judgements
    if len(judgements) == 1:
        return [summary(each)]
    head = Row(each.claim.id, each.claim.says, "", "", "", each.shown.verdict)
    several = len(each.shown.by_subject) > 1
    return [head, *(_figure(judgement, several) for judgement in judgements)]


def print_table(verified: Sequence[Verified], stream: TextIO | None = None) -> None:
    """The table, colored on a terminal and aligned when piped, then which values were judged.

    What was asked for by its id is explained: what each verdict rests on, where the claim stands in
    its report, and what a reader should know. Notes stand behind the claims, the tally at the end.
    """
    stream = stream or sys.stdout
    ordered = sorted(verified, key=lambda each: each.claim.is_note)
    if stream.isatty():
        _write_rich(ordered, stream)
    else:
        _write_plain(ordered, stream)
    if len({each.claim.base for each in ordered}) == 1:
        for each in ordered:
            stream.write("\n" + explanation(each))
    stream.write("\n" + basis(ordered) + "\n")
    if len(ordered) > 1:
        stream.write("\n".join([*changed(ordered), tallied(ordered)]) + "\n")


def explanation(each: Verified) -> str:
    """Why one claim got its verdict, a line a fact."""
    lines = [_reasoned(judgement) for judgement in each.shown.judgements]
    by_subject = each.shown.by_subject
    lines += [f"on the subject {name}: {verdict}" for name, verdict in by_subject.items()]
    lines += [f"beside: {shown}" for shown in each.shown.beside]
    lines += [*_history(each.claim), f"source: {source(each)}"]
    lines += [each.claim.notes] if each.claim.notes else []
    return "\n".join([f"{each.claim.id}: {each.shown.verdict}", *lines]) + "\n"


def tallied(verified: Iterable[Verified]) -> str:
    """How many claims have each verdict, as one line."""
    found = {verdict: number for verdict, number in tally(verified).items() if number}
    counted = "; ".join(f"{number} {verdict}" for verdict, number in found.items())
    return f"tally of {sum(found.values())} claims: {counted or 'none has a verdict'}"


def changed(verified: Iterable[Verified]) -> list[str]:
    """A line that names the claims whose rule is not older than the results it judges."""
    late = [each.claim.id for each in verified if each.claim.changed_after_results]
    if not late:
        return []
    return [f"rule not older than the first results it judges: {', '.join(late)}"]


def _reasoned(judgement: Judgement) -> str:
    on = f" ({judgement.subject})" if judgement.subject else ""
    rests = f"; interval: {judgement.interval}" if judgement.interval else ""
    return f"{judgement.what}{on}: {judgement.verdict}: {judgement.because}{rests}"


def _history(claim: Claim) -> list[str]:
    if not claim.rule_commit:
        return []
    line = f"rule of {claim.rule_date} ({claim.rule_commit[:7]})"
    if not claim.results_commit:
        return [f"{line}; no results yet"]
    late = ", not older than they are" if claim.changed_after_results else ""
    return [f"{line}; first results {claim.results_date} ({claim.results_commit[:7]}){late}"]


_MOVED = {
    False: "verdicts not as locked:",
    True: "verdicts not as locked, at values that are, within tolerance:",
}
"""By whether the values agree. A verdict of the second kind lies near the bound of its rule."""


def basis(verified: Sequence[Verified]) -> str:
    """Which values were judged, and every verdict that is not as locked."""
    judged = [each for each in verified if not each.claim.is_note]
    if not judged:
        return "notes alone; nothing is judged."
    here = sum(each.here is not None for each in judged)
    claims = f"{len(judged)} claim" + ("s" if len(judged) != 1 else "")
    if not here:
        return f"{claims} judged on locked values; this machine's store holds no results for them."
    text = f"{claims}: {here} judged on this machine's values, {len(judged) - here} on locked ones"
    if not any(each.moved for each in judged):
        return f"{text}; every verdict is as locked."
    said = [text]
    for near, title in _MOVED.items():
        lines = [_difference(each, near) for each in judged if _moved(each, near)]
        said += [title, *lines] if lines else []
    return "\n".join(said)


def as_json(verified: Iterable[Verified]) -> str:
    """The ledger for programs: `claims`, each with `id` and `verdict`, `notes` and the `tally`."""
    verified = list(verified)
    ledger = {
        "claims": [_entry(each) for each in verified if not each.claim.is_note],
        "notes": [_entry(each) for each in verified if each.claim.is_note],
        "tally": tally(verified),
    }
    return json.dumps(ledger, ensure_ascii=False, indent=2)


def source(each: Verified) -> str:
    """Where a claim stands."""
    return f"{each.claim.report} ({each.claim.citation}), {each.claim.where}"


def _entry(each: Verified) -> dict:
    row = summary(each)
    return {
        "id": row.id,
        "verdict": row.verdict,
        "judged_on": "locked values" if each.here is None else "this machine's values",
        "locked_verdict": each.locked.verdict,
        "not_as_locked": [asdict(check) for check in each.moved],
        "verdict_by_subject": each.shown.by_subject,
        "scope": each.claim.scope,
        "rule": {"commit": each.claim.rule_commit, "date": each.claim.rule_date},
        "first_results": {"commit": each.claim.results_commit, "date": each.claim.results_date},
        "rule_not_older_than_results": each.claim.changed_after_results,
        "kind": each.claim.kind,
        "claim": row.claim,
        "theirs": row.theirs,
        "ours": row.ours,
        "chance": row.chance,
        "because": _joined(judgement.because for judgement in each.shown.judgements),
        "source": source(each),
        "notes": each.claim.notes,
        "beside": list(each.shown.beside),
        "checks": [
            {"kind": each.claim.check_of(found.what, found.subject).kind, **found.__dict__}
            for found in each.shown.judgements
        ],
    }


def _moved(each: Verified, near: bool) -> list[Moved]:
    return [check for check in each.moved if check.within_tolerance is near]


def _difference(each: Verified, near: bool) -> str:
    """The claim's verdict, where it is not as locked, and which checks'; or the checks' alone."""
    checks = _moved(each, near)
    if each.shown.verdict is not each.locked.verdict:
        names = "; ".join(check.what for check in checks)
        return (
            f"  {each.claim.id}: {each.shown.verdict} here, {each.locked.verdict} locked: {names}"
        )
    found = [f"{check.what}: {check.here} here, {check.locked} locked" for check in checks]
    return f"  {each.claim.id}, " + "; ".join(found)


def _figure(judgement: Judgement, several: bool) -> Row:
    """The line of one figure; with its subject where the claim has several."""
    return Row(
        "",
        f"{judgement.what} ({judgement.subject})" if several else judgement.what,
        judgement.theirs,
        judgement.ours,
        judgement.chance,
        judgement.verdict,
    )


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))


def _write_plain(verified: Sequence[Verified], stream: TextIO) -> None:
    lines = [COLUMNS, *(astuple(row) for each in verified for row in rows(each))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        stream.write("  ".join(cells).rstrip() + "\n")


def _write_rich(verified: Sequence[Verified], stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, no_wrap=column == "id")
    for each in verified:
        for row in rows(each):
            color = _COLORS.get(Verdict(row.verdict), "")
            cells = [Text(cell) for cell in astuple(row)]
            cells[-1].stylize(color)
            table.add_row(*cells)
        table.add_section()
    Console(file=stream).print(table)
