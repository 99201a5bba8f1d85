"""Which stages an edit makes stale, against reachability in a made-up package and in our own."""

import ast
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.experiments.registry import parts
from audit.pipeline.graph.keys import roots
from audit.pipeline.graph.parsed import KeptModules
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import in_order
from helpers.repository import CODE

N_MODULES, N_NAMES = 4, 4
NAMES = [(m, k) for m in range(N_MODULES) for k in range(N_NAMES)]
KINDS = ("function", "class", "constant")
WAYS = ("from", "module", "alias", "inside", "attribute")


@st.composite
def packages(draw):
    """Of each name its kind, and the earlier names that it uses, each in one of several ways."""
    uses = {}
    for at, name in enumerate(NAMES):
        earlier = st.sampled_from(NAMES[:at]) if at else st.nothing()
        found = draw(st.lists(st.tuples(earlier, st.sampled_from(WAYS)), max_size=2 if at else 0))
        uses[name] = draw(st.sampled_from(KINDS)), found
    return uses


def write(folder: Path, uses: dict, edited: tuple | None) -> None:
    """One module per number; a later name may use an earlier one of any module."""
    package = folder / "toy" / "room"
    package.mkdir(parents=True, exist_ok=True)
    for module in range(N_MODULES):
        top, bodies = [], []
        for name, (kind, found) in uses.items():
            if name[0] == module:
                bodies.append(definition(name, kind, found, top, 1 if name == edited else 0))
        # Constants run at import, where names of modules that import this one are not there yet;
        # nothing of it is run here.
        (package / f"m{module}.py").write_text("\n".join([*top, *bodies]) + "\n")


def definition(name: tuple, kind: str, found: list, top: list[str], value: int) -> str:
    inside, terms = [], [str(value)]
    for (module, k), way in found:
        used = f"n{module}_{k}"
        if module == name[0]:
            terms.append(used)
        elif way == "from":
            top.append(f"from toy.room.m{module} import {used}")
            terms.append(used)
        elif way == "module":
            top.append(f"from toy.room import m{module}")
            terms.append(f"m{module}.{used}")
        elif way == "alias":
            top.append(f"import toy.room.m{module} as a{module}")
            terms.append(f"a{module}.{used}")
        elif way == "inside" and kind == "function":
            inside.append(f"    from toy.room.m{module} import {used} as here")
            terms.append("here" if terms[-1] != "here" else used)
        else:
            top.append(f"import toy.room.m{module}")
            terms.append(f"toy.room.m{module}.{used}.real")
    own, body = f"n{name[0]}_{name[1]}", ", ".join(terms)
    if kind == "constant":
        return f"{own} = [{body}]"
    if kind == "class":
        return f"class {own}:\n    value = [{body}]"
    return "\n".join([f"def {own}():", *inside, f"    return [{body}]"])


def reachable(uses: dict, root: tuple) -> set:
    """The slow way: follow what was drawn, name by name."""
    found = {root}
    for _ in NAMES:
        found |= {used for name in found for used, _ in uses[name][1]}
    return found


def closure(folder: Path, root: tuple) -> dict[str, str]:
    name = f"toy.room.m{root[0]}:n{root[0]}_{root[1]}"
    return dict(Sources(folder, ("toy",)).closure([name]).definitions)


@given(packages(), st.sampled_from(NAMES), st.sampled_from(NAMES))
@settings(deadline=None, max_examples=60)
def test_exactly_the_edits_within_reach_change_a_closure(uses, root, edited):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), uses, None)
        before = closure(Path(folder), root)
        write(Path(folder), uses, edited)
        after = closure(Path(folder), root)
    assert {tuple(map(int, n.rpartition(":n")[2].split("_"))) for n in before} == reachable(
        uses, root
    )
    assert (before != after) == (edited in reachable(uses, root))


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    for package in ("seedstability", "audit"):
        shutil.copytree(CODE / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    return folder


@pytest.mark.parametrize("seed", range(6))
def test_in_our_code_an_edit_is_seen_by_those_who_reach_it_and_by_no_other(copy, seed):
    stages = in_order(stage for part in parts("smoke").values() for stage in part.values())
    wanted = {frozenset(roots(stage.function, stage.config)) for stage in stages}
    kept = KeptModules(copy / "parsed.json")
    sources = Sources(copy, kept=kept)
    before = {each: sources.closure(each).definitions for each in wanted}
    sources.keep()
    name = random.Random(seed).choice(sorted({n for found in before.values() for n in found}))
    path, _, defined = name.partition(":")
    file = copy / path
    text = file.read_text()
    try:
        file.write_text(
            text + f"\n\n{defined or 'print'}({seed})\n" if not defined else edited(text, defined)
        )
        again = Sources(copy, kept=KeptModules(copy / "parsed.json"))
        after = {each: again.closure(each).definitions for each in wanted}
        assert {e for e in wanted if after[e] != before[e]} == {
            e for e in wanted if name in before[e]
        }
        file.write_text(f'"""Another docstring."""\n# A comment.\n{text}\n# More.\n')
        again = Sources(copy)
        assert all(again.closure(each).definitions == before[each] for each in wanted)
    finally:
        file.write_text(text)


def edited(text: str, name: str) -> str:
    """The module with one more default, base or element in a definition."""
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            node.body.append(ast.parse("edited = 1").body[0])
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(n, ast.Name) and n.id == name for t in targets for n in ast.walk(t)):
                node.value = ast.Tuple([node.value, ast.Constant(1)], ast.Load())
    return ast.unparse(ast.fix_missing_locations(tree))
