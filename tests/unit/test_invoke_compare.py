"""`invoke compare`, which hands its words to the library's command line as they were typed."""

import os
import subprocess
import sys

import pytest

from helpers.command_line import invoke
from helpers.comparison_data import planted
from helpers.repository import ROOT
from seedstability.dictionaries.formats.folder import save
from seedstability.report.report import FILES


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("own")
    for seed, each in enumerate(planted(2, n=32, d=8, shared=8)):
        save(each, place / f"seed{seed}")
    return place


def test_folders_are_found_from_where_they_were_typed(folders, tmp_path):
    # `./inv` says where that was; by hand it is a folder below the root.
    below = ROOT / "tests" / "unit"
    near = os.path.relpath(folders, below)
    words = ("compare", f"{near}/seed0", "--out", str(tmp_path / "a"), f"{near}/seed1")
    by_hand = invoke(*words, cwd=below)
    assert by_hand.returncode == 0, by_hand.stderr
    assert by_hand.stdout.splitlines()[-3:] == [str(tmp_path / "a" / name) for name in FILES]

    words = ("compare", "seed0", "seed1", f"--out={tmp_path / 'b'}")
    by_inv = invoke(*words, SEEDSTABILITY_HERE=str(folders))
    assert by_inv.returncode == 0, by_inv.stderr
    assert {path.name for path in (tmp_path / "b").iterdir()} == set(FILES)


def test_a_file_beside_the_folders_takes_the_place_of_no_module(folders, tmp_path):
    (tmp_path / "typing.py").write_text("raise SystemExit('imported')")
    ran = invoke("compare", SEEDSTABILITY_HERE=str(tmp_path))
    assert ran.returncode == 2
    assert ran.stderr == "error: 0 dictionaries given; a comparison needs at least 2 folders\n"


def test_a_mistake_has_the_librarys_line_and_status():
    ran = invoke("compare", "nowhere", "--thresold", "1")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: seedstability compare has no option --thresold; did you")


def test_the_report_goes_to_build_unless_told_otherwise():
    code = (
        "import os, sys; from invoke.main import program;"
        "os.execve = lambda path, words, environment: (print(words), sys.exit());"
        "program.run(['invoke', 'compare', 'a', 'b'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    words = ["compare", "--out", str(ROOT / "build" / "compare"), "a", "b"]
    assert ran.stdout.strip().endswith(str(words)[1:])


def test_it_is_listed_and_its_help_explains_every_option():
    assert "DIR DIR" in invoke("--list").stdout
    told = invoke("--help", "compare").stdout
    for flag in (
        "--activations",
        "--initial",
        "--out",
        "--threshold",
        "--all-pairs",
        "build/compare",
    ):
        assert flag in told
    assert "DIR DIR" in told


def test_after_another_task_it_is_refused():
    ran = invoke("subjects", "compare")
    assert ran.returncode == 2
    assert ran.stderr == "error: compare takes the whole line: invoke compare DIR DIR [DIR ...]\n"
