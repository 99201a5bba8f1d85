import ast
from pathlib import Path

import pytest

from audit.pipeline.graph.sources import Sources
from helpers.pipeline_bench import CODE
from seedstability.errors import UserError

PACKAGE = {
    "__init__.py": "LAZY = {}\n",
    "errors.py": "class UserError(Exception): ...\n",
    "progress.py": "",
    "numerics/__init__.py": "",
    "numerics/pinning.py": "PINS = 1\ndef pin(): ...\n",
    "pipeline/__init__.py": "",
    "pipeline/results.py": "DIGITS = 3\nOTHER = 4\n",
    "pipeline/store.py": "import toy.plots\n",
    "plots/__init__.py": "",
    "room/__init__.py": "from .constants import ONE\n",
    "room/constants.py": "ONE = 1\nclass Base:\n    def size(self): return ONE\n",
    "room/helper.py": (
        "from ..maths import cosine\n"
        "from toy.room.constants import Base\n"
        "class Helper(Base):\n"
        "    def help(self): return cosine.best(self)\n"
        "def unused(): return cosine.worst()\n"
    ),
    "room/lazy.py": "TWO = 2\nTHREE = TWO + 1\n",
    "room/registry.py": (
        "KNOWN = {}\n"
        "def register(name, thing): KNOWN[name] = thing\n"
        "def look_up(name): return KNOWN[name]\n"
    ),
    "room/plugin.py": (
        "from toy.room.registry import register\n"
        "def plugged(): return 5\n"
        "register('plugged', plugged)\n"
    ),
    "room/unused.py": "",
    "room/stages.py": (
        '"""Docstring."""\n'
        "import numpy as np\n"
        "from toy.errors import UserError\n"
        "from toy.room import helper\n"
        "def work(config):\n"
        '    """Also."""\n'
        "    from toy.room.lazy import TWO  # only here\n"
        "    return {'x': TWO, 'y': helper.Helper()}\n"
        "def plug(config):\n"
        "    import toy.room.plugin\n"
        "    from toy.room.registry import look_up\n"
        "    return look_up('plugged')()\n"
        "def every(config): return [helper, np.pi]\n"
        "def another(config): return 1\n"
        "class Settings: ...\n"
    ),
    "maths/__init__.py": "",
    "maths/cosine.py": (
        "import toy.maths.deep.deeper as d\n"
        "from math import floor\n"
        "def best(a): return d.depth(floor(1.5))\n"
        "def worst(): return 0\n"
    ),
    "maths/deep/__init__.py": "",
    "maths/deep/deeper.py": "def depth(x): return x\nprint('loaded')\n",
    "experiments/__init__.py": "",
    "experiments/measure.py": (
        "from toy.pipeline.results import DIGITS\n"
        "from toy.pipeline import store, results\n"
        "from toy.room import stages\n"
        "def measure(config): return DIGITS, store, stages.another(config)\n"
    ),
}
PINS = {"toy/numerics/pinning.py:PINS", "toy/numerics/pinning.py:pin"}
CLOSURES = {
    "toy.room.stages:work": {
        "toy/room/stages.py:work",
        "toy/room/helper.py:Helper",
        "toy/room/constants.py:Base",
        "toy/room/constants.py:ONE",
        "toy/room/lazy.py:TWO",
        "toy/maths/cosine.py:best",
        "toy/maths/deep/deeper.py:depth",
        "toy/maths/deep/deeper.py:",
    },
    "toy.room.stages:plug": {
        "toy/room/stages.py:plug",
        "toy/room/plugin.py:plugged",
        "toy/room/plugin.py:",
        "toy/room/registry.py:KNOWN",
        "toy/room/registry.py:register",
        "toy/room/registry.py:look_up",
        "toy/maths/deep/deeper.py:",
    },
    "toy.room.stages:every": {
        "toy/room/stages.py:every",
        "toy/room/helper.py:Helper",
        "toy/room/helper.py:unused",
        "toy/room/constants.py:Base",
        "toy/room/constants.py:ONE",
        "toy/maths/cosine.py:best",
        "toy/maths/cosine.py:worst",
        "toy/maths/deep/deeper.py:depth",
        "toy/maths/deep/deeper.py:",
    },
    "toy.experiments.measure:measure": {
        "toy/experiments/measure.py:measure",
        "toy/pipeline/results.py:DIGITS",
        "toy/room/stages.py:another",
        "toy/maths/deep/deeper.py:",
    },
}
WORK = "toy.room.stages:work"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for name, text in PACKAGE.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def closure(code: Path, *roots: str) -> dict[str, str]:
    return dict(Sources(code, ("toy",)).closure(roots or [WORK]).definitions)


def edit(code: Path, file: str, old: str, new: str) -> None:
    path = code / "toy" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("root", CLOSURES)
def test_it_holds_every_definition_within_reach_and_no_other(code, root):
    assert set(closure(code, root)) - PINS == CLOSURES[root]
    assert set(closure(code, root)) > PINS


def test_several_roots_reach_what_each_does_and_those_of_others_nothing(code):
    found = closure(code, WORK, "toy.room.stages:Settings", "elsewhere.configs:Config")
    assert set(found) - PINS == CLOSURES[WORK] | {"toy/room/stages.py:Settings"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# only here", "# here and nowhere else"),
        ('"""Also."""', '"""Something else,\n    over two lines."""'),
        ('    """Also."""\n', ""),
        ("import numpy as np\n", "import numpy as np\n\n\n'a bare string'\n"),
        ("{'x': TWO, ", '{\n        "x": TWO,\n    '),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(code, old, new):
    before = closure(code)
    edit(code, "room/stages.py", old, new)
    assert closure(code) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("room/stages.py", "{'x': TWO", "{'z': TWO", "toy/room/stages.py:work"),
        ("room/lazy.py", "TWO = 2", "TWO = 3", "toy/room/lazy.py:TWO"),
        ("room/constants.py", "ONE = 1", "ONE = 1.0", "toy/room/constants.py:ONE"),
        ("room/helper.py", "best(self)", "best(0)", "toy/room/helper.py:Helper"),
        ("maths/cosine.py", "from math", "from numpy", "toy/maths/cosine.py:best"),
        ("maths/deep/deeper.py", "'loaded'", "'there'", "toy/maths/deep/deeper.py:"),
        ("numerics/pinning.py", "1", "2", "toy/numerics/pinning.py:PINS"),
    ],
)
def test_code_changes_just_that_definitions_digest(code, file, old, new, changed):
    before = closure(code)
    edit(code, file, old, new)
    after = closure(code)
    assert {name for name in before | after if after.get(name) != before.get(name)} == {changed}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("room/stages.py", "return 1", "return 2"),
        ("room/helper.py", "cosine.worst()", "cosine.best()"),
        ("room/lazy.py", "TWO + 1", "TWO + 2"),
        ("room/stages.py", "import numpy as np", "import numpy as np\nimport math"),
        (
            "room/stages.py",
            "def another",
            "if TYPE_CHECKING:\n    import toy.room.plugin\ndef another",
        ),
        ("room/stages.py", "def another", "if __name__ == '__main__':\n    work(1)\ndef another"),
    ],
)
def test_edits_out_of_reach_change_nothing(code, file, old, new):
    before = closure(code)
    edit(code, file, old, new)
    assert closure(code) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "reached"),
    [
        ("room/stages.py", "from toy.room import helper", "from toy.room import helper, plugin",
         "toy/room/plugin.py:plugged"),
        ("room/lazy.py", "TWO = 2", "def fill():\n    global TWO\n    TWO = 3\nTWO = 2",
         "toy/room/lazy.py:fill"),
        ("room/constants.py", "ONE = 1", "ONE = []\ndef grow(): ONE.append(1)",
         "toy/room/constants.py:grow"),
        ("room/unused.py", "", "from toy.room import lazy\ndef set_two(): lazy.TWO = 4\n",
         "toy/room/unused.py:set_two"),
        ("room/lazy.py", "TWO = 2", "TWO = globals()['THREE']", "toy/room/lazy.py:THREE"),
        ("room/stages.py", "def work(config):", "def work(config: 'Settings'):",
         "toy/room/stages.py:Settings"),
        ("room/stages.py", "def work(config):", "def work(config) -> dict[str, 'Settings']:",
         "toy/room/stages.py:Settings"),
        ("room/helper.py", "class Helper(Base)", "@unused\nclass Helper(Base)",
         "toy/room/helper.py:unused"),
        ("room/lazy.py", "TWO = 2", "def make(): return 1\nOTHER = [make()]\nTWO = 2",
         "toy/room/lazy.py:make"),
        ("room/lazy.py", "TWO = 2", "def mark(f): return f\n@mark\ndef g(): ...\nTWO = 2",
         "toy/room/lazy.py:mark"),
        ("room/lazy.py", "TWO = 2", "def make(): ...\ndef g(a, *, b=make()): ...\nTWO = 2",
         "toy/room/lazy.py:make"),
        ("room/lazy.py", "TWO = 2", "def make(): ...\nclass Other:\n    a = make()\nTWO = 2",
         "toy/room/lazy.py:make"),
        ("room/constants.py", "ONE = 1\n", "from toy.room.lazy import THREE as ONE\n",
         "toy/room/lazy.py:THREE"),
    ],
)  # fmt: skip
def test_ways_to_reach_a_definition(code, file, old, new, reached):
    assert reached not in closure(code)
    edit(code, file, old, new)
    assert reached in closure(code)


@pytest.mark.parametrize(
    ("field", "reached"),
    [
        ("another: int", set()),
        ("helper: int = 1", set()),
        ("field: int = another(1)", {"toy/room/stages.py:another"}),
        ("helper: 'helper.unused'", {"toy/room/helper.py:unused", "toy/maths/cosine.py:worst"}),
        ("another: another = 1", {"toy/room/stages.py:another"}),
        ("another: int; other = another", {"toy/room/stages.py:another"}),
    ],
)
def test_the_name_of_a_field_is_no_use_but_its_type_and_default_are(code, field, reached):
    root = "toy.room.stages:Settings"
    before = set(closure(code, root))
    edit(code, "room/stages.py", "class Settings: ...", f"class Settings:\n    {field}")
    assert set(closure(code, root)) - before == reached


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
        "import importlib\ndef best(a): return importlib.import_module(a)",
        "def best(a):\n    from importlib import import_module\n    return import_module(a)",
        "import runpy as r\ndef best(a): r.run_path(a)",
        "def best(a): return __import__('toy.room')",
        "exec('import toy')",
        "import importlib.metadata\nx = importlib.import_module\ndef best(a): x('toy')",
    ],
)
def test_dynamic_imports_are_refused_with_file_and_line(code, line):
    with (code / "toy" / "maths" / "cosine.py").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(UserError, match=r"maths/cosine\.py:[3-7]: .* loads code"):
        closure(code)


def test_dynamic_imports_out_of_reach_are_let_through(code):
    edit(code, "maths/cosine.py", "def worst(): return 0", "def worst(): return __import__('x')")
    closure(code)


@pytest.mark.parametrize("line", ["from importlib.metadata import version", "model.eval()"])
def test_what_only_looks_dynamic_is_let_through(code, line):
    with (code / "toy" / "maths" / "cosine.py").open("a") as file:
        file.write(f"\n{line}\n")
    closure(code)


def test_the_lazy_names_of_the_package_itself_are_refused(code):
    edit(code, "room/lazy.py", "TWO = 2", "from toy import LAZY\nTWO = LAZY")
    with pytest.raises(UserError, match="has to name the module"):
        closure(code)


def test_a_module_that_is_not_there_or_does_not_parse_is_named(code):
    with pytest.raises(UserError, match=r"toy\.nowhere"):
        closure(code, "toy.nowhere:work")
    with pytest.raises(UserError, match=r"toy\.room\.stages has no nothing"):
        closure(code, "toy.room.stages:nothing")
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
            assert node.module in ("importlib", "inspect")
        elif isinstance(node, ast.Assign):
            names = {ast.unparse(target) for target in node.targets}
            assert names <= {"__version__", "_HOME", "__all__"}
        else:
            assert isinstance(node, ast.Expr)
            assert isinstance(node.value, ast.Constant)
