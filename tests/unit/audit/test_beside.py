"""The profile `long` beside the paper: printed as locked, rerun only when asked."""

import json
import shutil

import pytest

from audit.session import Session
from helpers.repository import ROOT

PART, ADDRESS = "public.subject", "public.subject.blocks"


@pytest.fixture
def root(tmp_path):
    """A repository with copies of what is locked, and nothing built."""
    shutil.copytree(ROOT / "data" / "locked" / "long", tmp_path / "data" / "locked" / "long")
    (tmp_path / "data" / "locked" / "paper").symlink_to(ROOT / "data" / "locked" / "paper")
    (tmp_path / "paper").symlink_to(ROOT / "paper")
    (tmp_path / "build").mkdir()
    return tmp_path


def test_the_paper_prints_what_is_locked_of_both(root):
    for profile in ("paper", "long"):
        edition = Session(root, profile).edition(False)
        assert ADDRESS in edition.values
        assert "tokens.settings.seeds" in edition.values
        assert edition.mark == ""
        assert edition.facts["long_date"].startswith("20")
        assert len(edition.facts["long_commit"]) == 40
        long = {stage.name for stage in edition.long_stages}
        assert "public/subject" in long
        assert "public/subject" not in {stage.name for stage in edition.stages}
        assert any("public" in each.locked.by_subject for each in edition.claims)


def test_neither_profile_takes_the_others_parts_for_its_own(root):
    paper, long = Session(root, "paper"), Session(root, "long")
    assert "public" not in paper.parts
    assert set(long.parts) == {"public"}
    assert paper.build == long.build


def test_other_code_than_the_locked_one_is_named(root):
    path = root / "data" / "locked" / "long" / "provenance.json"
    runs = json.loads(path.read_text("utf-8"))
    runs["public"]["keys"]["subject"] = "0" * 64
    path.write_text(json.dumps(runs), "utf-8")
    assert PART in Session(root, "paper").foreign_beside()
    assert PART in Session(root, "long").foreign()


def test_a_profile_that_prints_itself_has_none_beside_it():
    assert Session(ROOT, "smoke").beside is None
    assert Session(ROOT, "smoke").foreign_beside() == []


def test_the_paper_can_be_made_before_the_long_run_was_ever_locked(root):
    shutil.rmtree(root / "data" / "locked" / "long")
    session = Session(root, "paper")
    assert session.beside is None
    assert len(session.locked_beside) == 0
