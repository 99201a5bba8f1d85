"""The author's loop, in work that is done and not in time: nothing is found out twice."""

import difflib
import importlib.util
from collections import Counter

import pytest

from audit.ledger import loading
from audit.ledger import verify as ledger_verify
from audit.manuscript import compiler, figures, macros, sources, tables
from audit.pipeline.graph import parsed
from audit.pipeline.graph.keys import portable_keys
from audit.pipeline.locking import locked
from audit.pipeline.locking.values import Values
from audit.session import Session
from helpers.repository import ROOT
from seedstability.errors import UserError


def counted(monkeypatch, module, name: str, identity) -> Counter:
    """Count the calls of a function by what `identity` makes of their arguments."""
    calls: Counter = Counter()
    function = getattr(module, name)

    def counting(*args, **kwargs):
        calls[identity(*args, **kwargs)] += 1
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, counting)
    return calls


@pytest.fixture
def root(tmp_path):
    """A repository with the data and text of this one, and nothing built."""
    for name in ("data", "paper"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build").mkdir()
    return tmp_path


@pytest.fixture
def without_tex(monkeypatch):
    """The paper up to the files that TeX reads, without pictures."""

    def pretend(figure, values, folder, sources):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{figure.name}.pdf"
        path.write_bytes(b"")
        return path

    monkeypatch.setattr(figures, "render", pretend)
    monkeypatch.setattr(compiler, "typeset_all", lambda edition, paper, build: [])


def whole_loop(session: Session) -> None:
    """What `paper --from-locked`, `verify` and `status` do, in one process."""
    session.tables()
    session.figures()
    session.paper()
    session.verify()
    session.status()


def test_each_file_is_parsed_at_most_once_a_process_and_not_by_the_next(root, monkeypatch):
    parses = counted(monkeypatch, parsed, "read_module", lambda source, name, path: name)
    session = Session(root, "paper")
    session.status()
    session.verify("C02")
    keys = portable_keys(session.stages, session.sources)
    assert len(parses) > 100
    assert set(parses.values()) == {1}
    parses.clear()
    later = Session(root, "paper")
    later.status()
    assert not parses
    assert portable_keys(later.stages, later.sources) == keys


def test_each_edition_is_made_each_claim_judged_and_each_table_rendered_once(
    root, monkeypatch, without_tex
):
    editions = counted(monkeypatch, sources, "edition_of", lambda *args, **kwargs: "edition")
    judged = counted(monkeypatch, ledger_verify, "judge", lambda check, values, costs: id(check))
    rendered = counted(monkeypatch, tables, "_rendered", lambda name, *others: name)
    session = Session(root, "paper")
    session.tables()
    session.figures()
    session.paper()
    assert editions == {"edition": 1}
    assert set(judged.values()) == {1}
    assert len(rendered) == len(tables.templates(ROOT / "paper"))
    assert set(rendered.values()) == {1}


def test_each_locked_file_is_read_once_and_no_near_name_is_looked_for(
    root, monkeypatch, without_tex
):
    read = counted(monkeypatch, locked, "_read_experiment", lambda path: path.name)

    def refuse(*args, **kwargs):
        raise AssertionError("a near name is for an error that is raised")

    monkeypatch.setattr(difflib, "get_close_matches", refuse)
    monkeypatch.setattr(loading, "get_close_matches", refuse)
    whole_loop(Session(root, "paper"))
    assert read
    assert set(read.values()) == {1}


def test_an_error_that_is_raised_names_what_is_near():
    values = Values({"a.b.value": 1.0, "a.b.other": 2.0})
    with pytest.raises(UserError, match=r"near: a\.b\.value"):
        values.scalar("a.b.valeu")
    with pytest.raises(UserError, match=r"near: a\.b\.value, a\.b\.other"):
        values.scalar("a.b")
    with pytest.raises(UserError, match=r"near: a\.b"):
        values.subtree("a.c")
    with pytest.raises(UserError, match="near: date"):
        macros._look_up("dat", {"date": ""}, "fact")


def test_a_call_of_several_tasks_has_one_session():
    spec = importlib.util.spec_from_file_location("tasks_of_this_repository", ROOT / "tasks.py")
    tasks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tasks)
    assert tasks.session("smoke", "cpu", "") is tasks.session("smoke")
    assert tasks.session("smoke", "cpu", "chance") is not tasks.session("smoke")
