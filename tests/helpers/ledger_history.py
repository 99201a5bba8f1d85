"""When a rule of the ledger was last changed, and when the results it judges were first locked.

Both are read from git. `PYTHONPATH=code:tests .venv/bin/python -m helpers.ledger_history` writes
them into `data/claims`; a rule that was just changed has to be committed first.
"""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from audit.ledger.claims import Claim
from audit.ledger.loading import load_claims
from audit.pipeline.locking.locked import read_values
from audit.pipeline.locking.values import Values
from helpers.repository import ROOT

CLAIMS, LOCKED = "data/claims", "data/locked/paper"
# What names, explains or stands beside; all else of a check is what it judges by.
_BESIDE = {"what", "reason", "chance", "subject", "name"}
_THEIRS_COUNTS = {"figure", "chance"}
# Fields that were renamed since; another name is no other rule.
_RENAMED = {"mended": "without_defect"}
_FIELDS = ("rule_commit", "rule_date", "results_commit", "results_date")


@dataclass(frozen=True)
class Commit:
    """One commit, as the ledger writes it."""

    hash: str
    date: str


def has_history(root: Path = ROOT) -> bool:
    """Whether this is a checkout with all of its commits."""
    try:
        return _git(root, "rev-parse", "--is-shallow-repository").strip() == "false"
    except (OSError, subprocess.CalledProcessError):
        return False


def rule_of(entry: dict) -> list[str]:
    """What the checks of an entry judge by, in an order of its own."""
    return sorted(repr(_judging(check)) for check in entry["check"])


def last_changes(root: Path = ROOT) -> dict[str, Commit | None]:
    """Of each claim here the commit that gave its rule; None where none has it as it is here."""
    wanted = {each["id"]: rule_of(each) for each in _entries(_texts_here(root))}
    found: dict[str, Commit | None] = dict.fromkeys(wanted)
    going = set(wanted)
    for commit in _commits(root, "--topo-order", "--", CLAIMS):
        there = {each["id"]: rule_of(each) for each in _entries(_texts_at(root, commit.hash))}
        for id in sorted(going):
            if there.get(id, there.get(id[:3])) == wanted[id]:
                found[id] = commit
            else:
                going.discard(id)
    return found


def first_results(claim: Claim, locked: Values, root: Path = ROOT) -> Commit | None:
    """The commit that first locked an experiment whose values the claim judges."""
    judged = {address for check in claim.check for address in (*check.judged, *_unjudged(check))}
    experiments = {address.partition(".")[0] for address in judged if address in locked}
    firsts = [
        list(_commits(root, "--diff-filter=A", "--", f"{LOCKED}/{name}.json"))[-1]
        for name in experiments
    ]
    return min(firsts, key=lambda commit: (commit.date, commit.hash), default=None)


def recorded(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """What each claim should record, from git."""
    locked, rules = read_values(root / LOCKED), last_changes(root)
    empty = Commit("", "")
    expected = {}
    for claim in load_claims(root / CLAIMS):
        if not claim.is_note:
            rule = rules[claim.id] or empty
            results = first_results(claim, locked, root) or empty
            expected[claim.id] = dict(
                zip(_FIELDS, (rule.hash, rule.date, results.hash, results.date), strict=True)
            )
    return expected


def write(root: Path = ROOT) -> None:
    """Put into `data/claims` what `recorded` gives, behind the line that says where."""
    expected = recorded(root)
    for file in sorted((root / CLAIMS).glob("*.toml")):
        text = re.sub(rf"(?m)^({'|'.join(_FIELDS)}) = .*\n", "", file.read_text("utf-8"))
        for id, values in expected.items():
            lines = "".join(f'{name} = "{value}"\n' for name, value in values.items() if value)
            text = re.sub(
                rf'(\nid = "{id}"\nsays = .*\nwhere = .*\n)',
                lambda at, new=lines: at[1] + new,
                text,
            )
        file.write_text(text, "utf-8")


def _judging(check: dict) -> dict:
    beside = _BESIDE | (set() if check.get("kind") in _THEIRS_COUNTS else {"theirs"})
    return {
        name: [_judging(each) for each in value] if name == "arms" else _several(value)
        for name, value in sorted(
            (_RENAMED.get(name, name), value) for name, value in check.items()
        )
        if name not in beside
    }


def _several(value):
    return value if isinstance(value, list) else [value]


def _unjudged(check) -> tuple[str, ...]:
    return (check.ours,) if check.untested else ()


def _entries(texts: Iterator[str]) -> list[dict]:
    return [entry for text in texts for entry in tomllib.loads(text)["claim"]]


def _texts_here(root: Path) -> Iterator[str]:
    return (file.read_text("utf-8") for file in sorted((root / CLAIMS).glob("*.toml")))


def _texts_at(root: Path, commit: str) -> Iterator[str]:
    names = _git(root, "ls-tree", "--name-only", commit, f"{CLAIMS}/").split()
    return (_git(root, "show", f"{commit}:{name}") for name in names if name.endswith(".toml"))


def _commits(root: Path, *arguments: str) -> Iterator[Commit]:
    for line in _git(root, "log", "--format=%H %ct", *arguments).splitlines():
        hash, seconds = line.split()
        yield Commit(hash, f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M}")


def _git(root: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    )
    return ran.stdout


if __name__ == "__main__":
    write()
