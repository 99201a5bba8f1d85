"""The profile `long` beside the paper: printed as locked, rerun only when asked."""

import json
import shutil

import pytest

from audit.session import Session
from helpers.repository import ROOT

ADDRESS = "public.subject.blocks"


@pytest.fixture
def root(tmp_path):
    """A repository with copies of what is locked, and nothing built."""
    for profile in ("paper", "long"):
        locked = ROOT / "data" / "locked" / profile
        shutil.copytree(locked, tmp_path / "data" / "locked" / profile)
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
    assert set(long.parts) == {"public", "public_latents"}
    assert paper.build == long.build


@pytest.mark.parametrize(
    ("profile", "other", "experiment", "part"),
    [("paper", "long", "public", "subject"), ("long", "paper", "chance", "headline")],
)
def test_other_code_than_the_locked_one_is_named(root, profile, other, experiment, part):
    path = root / "data" / "locked" / other / "provenance.json"
    runs = json.loads(path.read_text("utf-8"))
    runs[experiment]["keys"][part] = "0" * 64
    path.write_text(json.dumps(runs), "utf-8")
    assert f"{experiment}.{part}" in Session(root, other).foreign()
    said = Session(root, profile).stale_beside()
    assert f"of profile {other} are locked with other code" in said
    assert said.endswith(f"`invoke paper --profile {other}` reruns them")


def test_a_profile_that_prints_itself_has_none_beside_it():
    assert Session(ROOT, "smoke").beside is None
    assert Session(ROOT, "smoke").stale_beside() is None


def test_the_paper_can_be_made_before_the_long_run_was_ever_locked(root):
    shutil.rmtree(root / "data" / "locked" / "long")
    session = Session(root, "paper")
    assert session.beside is None
    assert len(session.locked_beside) == 0
