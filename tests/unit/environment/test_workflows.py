"""CI and the files beside it: valid by their schemas, pinned, and doing what they promise."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.repository import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(workflow: Path) -> list[dict]:
    jobs = yaml.safe_load(workflow.read_text("utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def commands(name: str) -> list[str]:
    path = ROOT / ".github" / "workflows" / name
    return [step["run"] for step in steps(path) if "run" in step]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", WORKFLOWS),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_files_follow_their_schema(schema, files):
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_the_version_beside(workflow):
    used = re.findall(r"uses: (.*)", workflow.read_text("utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_ci_runs_all_tests_as_the_bare_machine_does():
    assert "./inv test --all" in commands("ci.yml")
    assert "exec ./inv test --all\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("workflow", ["ci.yml", "release.yml"])
@pytest.mark.parametrize("verb", ["paper", "verify"])
def test_paper_and_verdicts_are_made_in_the_image_without_network(workflow, verb):
    [run] = [line for line in commands(workflow) if line.endswith(f"invoke {verb}")]
    assert "--network none --read-only --tmpfs /tmp --user" in run


def test_ci_keeps_the_pdf():
    kept = [step["with"]["path"] for step in steps(WORKFLOWS[0]) if "path" in step.get("with", {})]
    assert kept[0].split() == ["build/paper.pdf", "build/supplement.pdf"]


def test_a_release_has_pdf_image_and_checksums():
    text = "\n".join(commands("release.yml"))
    for part in (
        "build/paper.pdf build/supplement.pdf",
        "docker save",
        "sha256sum",
        "gh release create",
    ):
        assert part in text


def test_the_dockerfile_takes_its_base_by_digest_and_pulls_no_frontend():
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.search(r"^ARG BASE_IMAGE=\S+@sha256:[0-9a-f]{64}$", text, re.M)
    assert not re.search(r"^#\s*syntax=", text, re.M)


def test_the_snapshot_comment_of_the_base_becomes_its_only_source(tmp_path):
    # The build against a debootstrap base cannot run this line: that base has no such comment.
    if not shutil.which("sed"):
        pytest.skip("no sed here")
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    script = re.search(r"sed -i (-e '.*' -e '.*') /etc", dockerfile)[1]
    sources = tmp_path / "debian.sources"
    stanza = "Types: deb\n# {0}/archive/debian/20251229T000000Z\nURIs: {1}/debian\nSuites: s\n\n"
    sources.write_text(stanza.format("http://snapshot.invalid", "http://mirror.invalid") * 2)
    subprocess.run(f"sed -i {script} {sources}", shell=True, check=True)
    uris = [line for line in sources.read_text().splitlines() if line.startswith("URIs")]
    assert uris == ["URIs: http://snapshot.invalid/archive/debian/20251229T000000Z"] * 2
