"""The commit that results are recorded with."""

import subprocess

import pytest

from audit.pipeline.store import provenance


def repository(folder, content: str) -> str:
    """A repository with one commit; returns it."""
    folder.mkdir()
    (folder / "file").write_text(content)
    by = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "file"), (*by, "commit", "-q", "-m", content)):
        subprocess.run(["git", *words], cwd=folder, check=True)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True)
    return head.strip()


@pytest.fixture
def commit(tmp_path, monkeypatch):
    """The commit recorded for a repository of ours."""
    ours = repository(tmp_path / "ours", "ours")
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "ours")
    provenance.source_commit.cache_clear()
    yield ours
    provenance.source_commit.cache_clear()


def test_a_shell_set_up_for_another_repository_does_not_change_it(commit, tmp_path, monkeypatch):
    other = repository(tmp_path / "other", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere"))
    assert provenance.source_commit() == commit != other


def test_uncommitted_changes_are_marked(commit, tmp_path):
    (tmp_path / "ours" / "file").write_text("edited")
    assert provenance.source_commit() == f"{commit}+"
