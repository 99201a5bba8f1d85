"""The direction in which numbers travel: each room imports only from its left (README)."""

import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from helpers.repository import CODE

PACKAGE = CODE / "seedstability"
BESIDE = {"errors", "progress", "compiled"}
LEFT_OF = {
    "subjects": set(),
    "stability": set(),
    "plots": set(),
    "pipeline": set(),
    "dictionaries": {"subjects", "stability"},
}
ROW = ("dictionaries", "evaluation", "comparison", "experiments", "ledger", "manuscript")
for left, room in pairwise(ROW):
    LEFT_OF[room] = LEFT_OF[left] | {left}
for room in ("comparison", "manuscript"):
    LEFT_OF[room] = LEFT_OF[room] | {"plots"}
for room in ("experiments", "ledger", "manuscript"):
    LEFT_OF[room] = LEFT_OF[room] | {"pipeline"}


def imported_rooms(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; say seedstability.<room>"
            if node.module == "seedstability":
                names |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith("seedstability."):
                names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("seedstability.")
            }
    return names


@pytest.mark.parametrize("room", sorted(LEFT_OF))
def test_a_room_imports_only_from_its_left(room):
    for file in sorted((PACKAGE / room).rglob("*.py")):
        strangers = imported_rooms(file) - LEFT_OF[room] - BESIDE - {room}
        assert not strangers, f"{file.relative_to(PACKAGE)} imports {', '.join(sorted(strangers))}"


def test_every_room_has_its_place_in_the_row():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(LEFT_OF)


def test_only_the_session_knows_pipeline_and_ledger_and_experiments_together():
    beside = {path.stem for path in PACKAGE.glob("*.py")} - BESIDE - {"__init__"}
    assert beside == {"session", "chores"}
    assert not imported_rooms(PACKAGE / "chores.py") & {"experiments", "ledger", "manuscript"}


@pytest.mark.parametrize("room", [*sorted(LEFT_OF), "session", "chores"])
def test_nothing_below_the_tasks_reads_a_command_line(room):
    files = (PACKAGE / room).rglob("*.py") if room in LEFT_OF else [PACKAGE / f"{room}.py"]
    for file in files:
        assert "argparse" not in file.read_text(encoding="utf-8"), file


HEAVY = "import sys; heavy = {'torch', 'transformer_lens', 'matplotlib'} & set(sys.modules); "


def run_fresh(code: str) -> str:
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    assert run_fresh("import seedstability;" + HEAVY + "print(sorted(heavy))") == "[]"


def test_planning_every_profile_loads_no_torch():
    code = (
        "from audit.experiments.registry import PROFILES, parts;"
        "[parts(profile) for profile in PROFILES];" + HEAVY + "print(sorted(heavy))"
    )
    assert run_fresh(code) == "[]"


def test_the_lazy_names_are_really_there():
    code = (
        "import seedstability as s; print(all(getattr(s, name) is not None for name in s.__all__))"
    )
    assert run_fresh(code) == "True"
