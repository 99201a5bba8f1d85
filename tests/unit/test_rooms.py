"""Which room may import which, in both packages (README): numbers travel from left to right."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.repository import CODE

LIBRARY, AUDIT = CODE / "seedstability", CODE / "audit"
# Beside the rooms of the library, and known to all of them.
BESIDE = {
    "errors",
    "files",
    "progress",
    "terminal",
    "compiled",
    "numerics",
    "side_by_side",
    "__version__",
}
LIBRARY_ROW = ("stability", "dictionaries", "similarity", "report")
AUDIT_ROW = (
    "subjects",
    "training",
    "evaluation",
    "analyses",
    "experiments",
    "ledger",
    "manuscript",
)
WITH_PIPELINE = {"experiments", "ledger", "manuscript"}
# These know no other room of the audit.
APART = {"plots", "pipeline"}


def imported(file: Path, package: str) -> set[str]:
    """The rooms and files of `package` that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; name the package"
            if node.module == package:
                names |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith(f"{package}."):
                names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            dotted = [alias.name.split(".") for alias in node.names]
            names |= {parts[1] for parts in dotted if parts[0] == package and parts[1:]}
    return names


def allowed_in_audit(room: str) -> set[str]:
    if room in APART:
        return {room, "folders"}
    left = set(AUDIT_ROW[: AUDIT_ROW.index(room) + 1]) | {"folders"}
    return left | ({"pipeline"} if room in WITH_PIPELINE else set())


@pytest.mark.parametrize("room", LIBRARY_ROW)
def test_a_room_of_the_library_imports_only_from_its_left(room):
    allowed = {*LIBRARY_ROW[: LIBRARY_ROW.index(room) + 1], *BESIDE}
    for file in sorted((LIBRARY / room).rglob("*.py")):
        strangers = imported(file, "seedstability") - allowed
        assert not strangers, f"{file.relative_to(CODE)} imports {', '.join(sorted(strangers))}"


@pytest.mark.parametrize("room", sorted({*AUDIT_ROW, *APART}))
def test_a_room_of_the_audit_imports_only_from_its_left(room):
    for file in sorted((AUDIT / room).rglob("*.py")):
        strangers = imported(file, "audit") - allowed_in_audit(room)
        assert not strangers, f"{file.relative_to(CODE)} imports {', '.join(sorted(strangers))}"


def test_the_library_imports_nothing_of_the_audit():
    for file in sorted(LIBRARY.rglob("*.py")):
        assert not imported(file, "audit"), file


def test_every_room_has_its_place_in_a_row():
    rooms = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert rooms == {*LIBRARY_ROW, "numerics"}
    assert {path.parent.name for path in AUDIT.glob("*/__init__.py")} == {*AUDIT_ROW, *APART}


def test_no_room_has_more_than_fifteen_files_side_by_side():
    for package in (LIBRARY, AUDIT):
        for init in package.rglob("__init__.py"):
            files = [path for path in init.parent.glob("*.py") if path.name != "__init__.py"]
            assert len(files) <= 15, init.parent.relative_to(CODE)


def test_modules_do_not_import_each_other_in_a_circle():
    arrows = {
        ".".join(file.relative_to(CODE).with_suffix("").parts): modules_at_the_top(file)
        for package in (LIBRARY, AUDIT)
        for file in package.rglob("*.py")
    }
    done: set[str] = set()
    for start in arrows:
        walk(start, arrows, (), done)


def modules_at_the_top(file: Path) -> set[str]:
    """Our modules that importing this file loads; what a function imports comes later."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {name for name in names if is_module(name)}
    return found


def is_module(name: str) -> bool:
    return CODE.joinpath(*name.split(".")).with_suffix(".py").is_file()


def walk(module: str, arrows: dict[str, set[str]], path: tuple[str, ...], done: set[str]) -> None:
    assert module not in path, " imports ".join([*path[path.index(module) :], module])
    if module not in done:
        for other in arrows.get(module, ()):
            walk(other, arrows, (*path, module), done)
        done.add(module)


def test_only_the_session_knows_pipeline_and_ledger_and_experiments_together():
    beside = {path.stem for path in AUDIT.glob("*.py")} - {"__init__"}
    assert beside == {"explanation", "folders", "pruning", "retraining", "session"}
    retraining = imported(AUDIT / "retraining.py", "audit")
    assert not retraining & {"experiments", "ledger", "manuscript"}


def test_only_the_command_line_reads_one():
    """What is typed is read by tasks.py and the library's cli.py alone."""
    for file in [*LIBRARY.rglob("*.py"), *AUDIT.rglob("*.py")]:
        loaded = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
        }
        if file != LIBRARY / "cli.py":
            assert not loaded & {"argparse", "typer", "click"}, file


HEAVY = "import sys; heavy = {'torch', 'transformer_lens', 'matplotlib'} & set(sys.modules); "


def run_fresh(code: str) -> str:
    environment = {"PYTHONPATH": str(CODE), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()


def test_importing_the_library_loads_nothing_heavy():
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
