import ast
import subprocess
import sys
from pathlib import Path

import pytest

from audit.pipeline.graph.keys import current_sources
from audit.pipeline.graph.sources import Sources
from helpers.pipeline_bench import CODE
from seedstability.errors import UserError

PACKAGE = {
    "__init__.py": "LAZY = {}\n",
    "errors.py": "class UserError(Exception): ...\n",
    "progress.py": "",
    "numerics/__init__.py": "",
    "numerics/pinning.py": "PINS = 1\n",
    "pipeline/__init__.py": "",
    "pipeline/results.py": "DIGITS = 3\n",
    "pipeline/store.py": "import toy.plots\n",
    "plots/__init__.py": "",
    "room/__init__.py": "from .constants import ONE\n",
    "room/constants.py": "ONE = 1\n",
    "room/helper.py": "from ..maths import cosine\n",
    "room/lazy.py": "TWO = 2\n",
    "room/unused.py": "",
    "room/stages.py": (
        '"""Docstring."""\n'
        "import numpy as np\n"
        "from toy.errors import UserError\n"
        "from toy.room import helper\n"
        "def work(config):\n"
        '    """Also."""\n'
        "    from toy.room.lazy import TWO  # only here\n"
        "    return {'x': TWO}\n"
    ),
    "maths/__init__.py": "",
    "maths/cosine.py": "import toy.maths.deep.deeper as d\n",
    "maths/deep/__init__.py": "",
    "maths/deep/deeper.py": "",
    "experiments/__init__.py": "",
    "experiments/measure.py": (
        "from toy.pipeline.results import DIGITS\n"
        "from toy.pipeline import store, results\n"
        "def work(config):\n"
        "    from toy.room.stages import work\n"
    ),
}
CLOSURE = {
    "toy/numerics/__init__.py",
    "toy/numerics/pinning.py",
    "toy/room/__init__.py",
    "toy/room/constants.py",
    "toy/room/helper.py",
    "toy/room/lazy.py",
    "toy/room/stages.py",
    "toy/maths/__init__.py",
    "toy/maths/cosine.py",
    "toy/maths/deep/__init__.py",
    "toy/maths/deep/deeper.py",
}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for name, text in PACKAGE.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def closure(code: Path, module: str = "toy.room.stages") -> dict[str, str]:
    return Sources(code, ("toy",)).closure(module)


def edit(code: Path, file: str, old: str, new: str) -> None:
    path = code / "toy" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_it_holds_every_file_that_importing_and_calling_loads_and_no_other(code):
    assert set(closure(code)) == CLOSURE


def test_pinning_always_counts_and_of_the_pipeline_only_results(code):
    found = set(closure(code, "toy.experiments.measure"))
    assert found - CLOSURE == {
        "toy/pipeline/results.py",
        "toy/experiments/__init__.py",
        "toy/experiments/measure.py",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# only here", "# here and nowhere else"),
        ('"""Also."""', '"""Something else,\n    over two lines."""'),
        ('    """Also."""\n', ""),
        ("import numpy as np\n", "import numpy as np\n\n\n'a bare string'\n"),
        ("{'x': TWO}", '{\n        "x": TWO,\n    }'),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(code, old, new):
    before = closure(code)
    edit(code, "room/stages.py", old, new)
    assert closure(code) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("room/stages.py", "{'x': TWO}", "{'y': TWO}"),
        ("room/lazy.py", "2", "3"),
        ("room/constants.py", "1", "1.0"),
        ("maths/cosine.py", "as d", "as e"),
        ("numerics/pinning.py", "1", "2"),
    ],
)
def test_code_changes_just_that_files_digest(code, file, old, new):
    before = closure(code)
    edit(code, file, old, new)
    after = closure(code)
    assert {path for path in after if after[path] != before[path]} == {f"toy/{file}"}


@pytest.mark.parametrize(
    "file", ["room/unused.py", "errors.py", "progress.py", "pipeline/store.py", "__init__.py"]
)
def test_what_no_number_depends_on_changes_nothing(code, file):
    before = closure(code)
    (code / "toy" / file).write_text("NEW = 1\n")
    assert closure(code) == before


@pytest.mark.parametrize(
    "line",
    [
        "import importlib",
        "from importlib import import_module",
        "import runpy",
        "x = __import__('toy.room')",
        "exec('import toy')",
        "import importlib.metadata\nx = importlib.import_module('toy')",
    ],
)
def test_dynamic_imports_are_refused_with_file_and_line(code, line):
    with (code / "toy" / "maths" / "cosine.py").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(UserError, match=r"maths/cosine\.py:[34]: .* loads code"):
        closure(code)


@pytest.mark.parametrize("line", ["from importlib.metadata import version", "model.eval()"])
def test_what_only_looks_dynamic_is_let_through(code, line):
    with (code / "toy" / "maths" / "cosine.py").open("a") as file:
        file.write(f"\n{line}\n")
    closure(code)


def test_the_lazy_names_of_the_package_itself_are_refused(code):
    edit(code, "room/lazy.py", "TWO", "from toy import LAZY\nTWO")
    with pytest.raises(UserError, match="has to name the module"):
        closure(code)


def test_a_module_that_is_not_there_or_does_not_parse_is_named(code):
    with pytest.raises(UserError, match=r"toy\.nowhere"):
        closure(code, "toy.nowhere")
    edit(code, "room/lazy.py", "=", "= =")
    with pytest.raises(UserError, match=r"lazy\.py:1"):
        closure(code)


def test_the_top_of_the_package_holds_only_names_and_the_version():
    """It is in no closure, so nothing that a number depends on may stand there."""
    tree = ast.parse((CODE / "seedstability" / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            assert node.name in ("__getattr__", "__dir__")
        elif isinstance(node, ast.ImportFrom):
            assert node.module == "importlib"
        elif isinstance(node, ast.Assign):
            names = {ast.unparse(target) for target in node.targets}
            assert names <= {"__version__", "_HOME", "__all__"}
        else:
            assert isinstance(node, ast.Expr)
            assert isinstance(node.value, ast.Constant)


LOADED = """
import sys
{run}
print(*(name for name in sys.modules if name.partition(".")[0] == {package!r}))
"""
MEASURE = """
from audit.experiments.chance.experiment import PROFILES, parts, closed_form
closed_form(parts(PROFILES["smoke"])["closed_form"].config)
"""


@pytest.mark.parametrize(
    ("package", "module", "run"),
    [
        ("toy", "toy.room.stages", "from toy.room.stages import work; work(None)"),
        ("audit", "audit.experiments.chance.experiment", MEASURE),
    ],
)
def test_a_fresh_process_that_runs_the_stage_loads_nothing_else(code, package, module, run):
    sources = Sources(code, ("toy",)) if package == "toy" else current_sources()
    ran = subprocess.run(
        [sys.executable, "-c", LOADED.format(run=run, package=package)],
        env={"PYTHONPATH": f"{code}:{CODE}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name for name in ran.stdout.split() if sources.counts(name)}
    named = {sources.module_of(path) for path in sources.closure(module)}
    assert module in loaded
    assert loaded <= named
    if package == "toy":
        assert loaded | {"toy.numerics", "toy.numerics.pinning"} == named
