"""What is read from syntax trees is kept by content, and never taken for another content's."""

from pathlib import Path

import pytest

from audit.pipeline.graph import parsed
from audit.pipeline.graph.parsed import KeptModules
from audit.pipeline.graph.sources import Sources

FILES = {
    "__init__.py": "",
    "room/__init__.py": "from .one import ONE\n",
    "room/one.py": "ONE = 1\n",
    "room/stages.py": '"""Said."""\nfrom toy.room.one import ONE\ndef work(config): return ONE\n',
}
MODULE = "toy.room.stages"
ROOTS = [f"{MODULE}:work"]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def parses(monkeypatch) -> list[str]:
    """Names of the modules that were parsed, in order."""
    names = []
    parse = parsed.read_module
    monkeypatch.setattr(
        parsed, "read_module", lambda s, name, p: names.append(name) or parse(s, name, p)
    )
    return names


def closure(code: Path) -> dict[str, str]:
    """As a process of its own finds it."""
    sources = Sources(code, ("toy",), KeptModules(code / "parsed.json"))
    found = dict(sources.closure(ROOTS).definitions)
    sources.keep()
    return found


def test_a_file_is_parsed_once_a_process_and_not_by_the_next(code, parses):
    plain = Sources(code, ("toy",)).closure(ROOTS).definitions
    parses.clear()
    assert closure(code) == plain
    assert sorted(parses) == ["toy.room", "toy.room.one", MODULE]
    parses.clear()
    assert closure(code) == plain
    assert parses == []


def test_of_edited_files_only_those_are_parsed_again(code, parses):
    before = closure(code)
    parses.clear()
    (code / "toy/room/one.py").write_text("ONE = 2\n")
    after = closure(code)
    assert parses == ["toy.room.one"]
    assert {path for path in after if after[path] != before[path]} == {"toy/room/one.py:ONE"}
    parses.clear()
    (code / "toy/room/one.py").write_text("ONE = 1\n")
    assert closure(code) == before
    assert parses == []


def test_an_edit_that_adds_an_import_lengthens_the_closure(code):
    closure(code)
    (code / "toy/room/two.py").write_text("TWO = 2\n")
    (code / "toy/room/one.py").write_text("from toy.room.two import TWO\nONE = TWO\n")
    assert "toy/room/two.py:TWO" in closure(code)


def test_one_content_under_two_names_is_two_entries(code):
    """A relative import means another module in another place."""
    (code / "toy/maths").mkdir()
    (code / "toy/maths/__init__.py").write_text(FILES["room/__init__.py"])
    (code / "toy/maths/one.py").write_text("ONE = 3\n")
    closure(code)
    (code / "toy/room/stages.py").write_text(
        "import toy.maths\ndef work(config): return toy.maths.ONE\n"
    )
    assert "toy/maths/one.py:ONE" in closure(code)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text[:-80] + text[-80].swapcase() + text[-79:].replace("a", "b"),
        lambda text: "",
        lambda text: "{}",
        lambda text: text.partition("\n")[2],
        lambda text: "\x00" + text,
    ],
)
def test_a_damaged_file_is_as_good_as_none(code, parses, damage):
    whole = closure(code)
    kept = code / "parsed.json"
    kept.write_text(damage(kept.read_text()))
    parses.clear()
    assert closure(code) == whole
    assert len(parses) == 3
    parses.clear()
    assert closure(code) == whole
    assert parses == []


def test_what_other_code_or_another_python_found_is_not_used(code, parses, monkeypatch):
    closure(code)
    parses.clear()
    monkeypatch.setattr(parsed, "_maker", lambda: "another")
    closure(code)
    assert len(parses) == 3


def test_a_folder_that_is_not_there_or_cannot_be_written_is_no_error(code, tmp_path):
    kept = KeptModules(tmp_path / "nowhere" / "parsed.json")
    sources = Sources(code, ("toy",), kept)
    sources.closure(ROOTS)
    sources.keep()
    assert not (tmp_path / "nowhere").exists()


def test_of_two_processes_at_once_one_file_stays_whole(code, parses):
    one, other = (Sources(code, ("toy",), KeptModules(code / "parsed.json")) for _ in range(2))
    found = [each.closure(ROOTS).definitions for each in (one, other)]
    one.keep()
    other.keep()
    parses.clear()
    assert closure(code) == found[0] == found[1]
    assert parses == []
    assert [path.name for path in code.iterdir() if path.is_file()] == ["parsed.json"]


def test_what_no_file_has_any_more_is_dropped_in_the_end(code, monkeypatch):
    monkeypatch.setattr(parsed, "_MOST_KEPT", 5)
    for number in range(9):
        (code / "toy/room/one.py").write_text(f"ONE = {number}\n")
        closure(code)
    assert len(parsed._read(code / "parsed.json")) <= 5
