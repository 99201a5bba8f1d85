"""`invoke compare` as somebody types it: folders anywhere on the line, mistakes in one line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.comparison_data import activations, complaints, normal, planted, sae
from helpers.repository import ROOT
from seedstability.dictionaries.formats.folder import save
from seedstability.report.report import FILES


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "invoke", "compare", *words]


def compare(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*words),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three dictionaries, their starts, and activations."""
    place = tmp_path_factory.mktemp("own")
    for seed, each in enumerate(planted(3, n=32, d=8, shared=8)):
        save(each, place / f"seed{seed}")
        save(sae(normal(32, 8, seed=40 + seed)), place / f"start{seed}")
    np.save(place / "x.npy", activations(500, 8).numpy())
    return place


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_folders_stand_before_between_and_after_flags_and_are_found_from_where_one_is(
    folders, tmp_path
):
    # Below the repository, so that Invoke finds its tasks from another folder than the root.
    here = ROOT / "tests" / "unit"
    own = os.path.relpath(folders, here)
    one, other = tmp_path / "one", tmp_path / "other"
    ran = compare(
        *(f"{own}/seed0", "--activations", f"{own}/x.npy", f"{own}/seed1", "--all-pairs"),
        *(f"--out={one}", "--initial", ",".join(f"{own}/start{seed}" for seed in range(3))),
        *("--threshold", "0.8", f"{own}/seed2"),
        cwd=here,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[0].endswith("would by chance.")
    assert lines[-3:] == [str(one / name) for name in FILES]
    document = json.loads((one / "report.json").read_text("utf-8"))
    assert complaints(document) == []
    assert [each["folder"] for each in document["inputs"]["dictionaries"]] == [
        f"{own}/seed{seed}" for seed in range(3)
    ]
    assert document["settings"]["threshold"] == 0.8
    assert document["software"]["numeric_abi"]["device"] == "cpu"
    assert document["measures"]["full"]["max_cosine"]["chance"]["untrained"] is not None

    # Another environment, more threads: the same bytes.
    again = compare(
        *(f"{own}/seed0", f"{own}/seed1", f"{own}/seed2", "--all-pairs", "--threshold=0.8"),
        *("--activations", f"{own}/x.npy", "--out", str(other)),
        *("--initial", ",".join(f"{own}/start{seed}" for seed in range(3))),
        cwd=here,
        OMP_NUM_THREADS="2",
        MKL_CBWR="COMPATIBLE",
    )
    assert again.returncode == 0, again.stderr
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "0 dictionaries given"),
        (("seed0",), "at least 2 folders"),
        (("seed0", "seed1", "seed0"), "seed0 is the same dictionary as seed0"),
        (("seed0", "nowhere"), "nowhere is no folder"),
        (("seed0", "."), "holds no SAE"),
        (("seed0", "seed1", "--threshold", "high"), "threshold is 'high'"),
        (("seed0", "seed1", "--initial", "start0"), "1 initial dictionaries given for 2"),
        (("seed0", "seed1", "--activations", "y.npy"), "y.npy is no file"),
        (("seed0", "seed1", "--out", "seed2"), "seed2 holds something else than a report"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(words, said, folders, tmp_path):
    before = names(folders)
    known = {"seed0", "seed1", "seed2", "start0", "nowhere", "y.npy", "."}
    out = () if "--out" in words else ("--out", str(tmp_path / "out"))
    placed = [str(folders / word) if word in known else word for word in words]
    ran = compare(*placed, *out)
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.startswith("error: ")
    assert len(ran.stderr.strip().splitlines()) == 1
    assert said in ran.stderr.replace(f"{folders}/", "")
    assert ran.stdout == ""
    assert names(folders) == before
    assert names(tmp_path) == set()


def test_the_help_explains_every_flag():
    ran = subprocess.run(
        [sys.executable, "-m", "invoke", "--help", "compare"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    for flag in ("--activations", "--initial", "--out", "--threshold", "--all-pairs"):
        assert flag in ran.stdout
    assert "DIR DIR" in ran.stdout


def test_who_stops_it_finds_nothing_half_written(tmp_path):
    places = []
    for seed, each in enumerate(planted(14, n=8192, d=64, shared=1000)):
        save(each, tmp_path / f"seed{seed}")
        places.append(str(tmp_path / f"seed{seed}"))
    before = names(tmp_path)
    running = subprocess.Popen(
        command(*places, "--all-pairs", "--out", str(tmp_path / "out")),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever started the tests may have told them to ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stderr is not None
    # The cost comes before the work, and this work takes minutes.
    assert "matchings" in running.stderr.readline()
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    said, complained = running.communicate(timeout=60)
    assert running.returncode == 130
    assert complained == "stopped; nothing was written\n"
    assert said == ""
    assert names(tmp_path) == before
