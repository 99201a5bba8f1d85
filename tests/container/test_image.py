"""The image, built and run: as any user, without network, with only build/ writable."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.container_image import TAG, caller, sha256
from seedstability import SAE, DictionaryConfig, save

pytestmark = pytest.mark.container

TEX = ("texlive-binaries", "texlive-base", "texlive-latex-base", "texlive-latex-recommended")
PDFS = ("paper.pdf", "supplement.pdf")
PACKAGES = ("dpkg-query", "--show", *TEX, "lmodern")


def owners(folder: Path) -> set[tuple[int, int]]:
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in folder.rglob("*")}


def test_lists_its_tasks(image):
    listed = image.run("invoke", "--list")
    assert listed.returncode == 0, listed.stderr
    for verb in ("paper", "verify", "status"):
        assert re.search(rf"^ +{verb} ", listed.stdout, re.M)


def test_image_is_within_its_size_limit(image):
    inspected = image.engine.docker("image", "inspect", "--format", "{{.Size}}", TAG)
    # A tenth of a gigabyte are the weights of the public model.
    assert int(inspected.stdout) < 2.4e9


def test_ships_neither_results_nor_history(image):
    listed = image.run("sh", "-c", "ls -A /repo /repo/build /repo/requirements")
    assert not {".git", ".venv", "wheelhouse", "store"} & set(listed.stdout.split())


def test_has_the_locked_packages_and_no_network(image):
    checked = image.run("python", "-m", "pytest", "-q", "tests/unit/environment/test_locks.py")
    assert checked.returncode == 0, checked.stdout
    script = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    assert "unreachable" in image.run("python", "-c", script).stderr


def test_runs_the_paper_from_scratch_as_its_caller(image, build):
    ran = image.run("invoke", "paper", "--profile", "smoke", mount=build)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
    for pdf in PDFS:
        assert (build / "smoke" / pdf).read_bytes().startswith(b"%PDF")
    assert owners(build) == {caller()}


def test_pdf_does_not_depend_on_caller_time_zone_and_date(image, build, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir(mode=0o700)
    os.chown(other, *caller())
    options = ("-e", "TZ=Asia/Tokyo", "-e", "LANG=C", "-e", "SOURCE_DATE_EPOCH=1")
    for folder, different in ((build, ()), (other, options)):
        ran = image.run("invoke", "paper", "--from-locked", mount=folder, options=different)
        assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
        assert owners(folder) == {caller()}
    for pdf in PDFS:
        assert sha256(build / pdf) == sha256(other / pdf)


def test_pdf_equals_the_hosts_with_the_same_tex(image, build, tmp_path):
    if not shutil.which("dpkg-query") or not shutil.which("latexmk"):
        pytest.skip("the host has no TeX from Debian")
    here = subprocess.run(PACKAGES, capture_output=True, text=True, check=False).stdout
    there = image.run(*PACKAGES).stdout
    if here != there:
        pytest.skip("the host has another TeX than the image")
    ran = image.run("invoke", "paper", "--from-locked", mount=build)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
    host = tmp_path / "host"
    shutil.copytree(image.context, host, ignore=shutil.ignore_patterns("wheelhouse", "build"))
    words = [sys.executable, "-m", "invoke", "paper", "--from-locked"]
    subprocess.run(words, cwd=host, capture_output=True, check=True)
    for pdf in PDFS:
        assert sha256(build / pdf) == sha256(host / "build" / pdf)


def test_verifies_without_writing(image):
    ran = image.run("invoke", "verify", "--json")
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
    claims = json.loads(ran.stdout)["claims"]
    assert {"C01", "C10", "C22"} <= {claim["id"] for claim in claims}


def test_compares_dictionaries_from_a_mounted_folder(image, build, tmp_path):
    own = tmp_path / "own"
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        decoder = torch.randn(24, 8, generator=generator)
        zeros = torch.zeros(24), torch.zeros(8), torch.zeros(24)
        config = DictionaryConfig(n_latents=24, k=4)
        save(SAE(decoder, zeros[0], decoder, zeros[1], zeros[2], config), own / f"seed{seed}")
    mounted = ("-v", f"{own}:/own:ro")
    ran = image.run("invoke", "compare", "/own/seed0", "/own/seed1", mount=build, options=mounted)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
    report = json.loads((build / "compare" / "report.json").read_text("utf-8"))
    assert [each["folder"] for each in report["inputs"]["dictionaries"]] == [
        "/own/seed0",
        "/own/seed1",
    ]
    assert (build / "compare" / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert owners(build) == {caller()}


def test_user_error_is_one_line_with_status_2(image, build):
    ran = image.run("invoke", "paper", "--profile", "papier", mount=build)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "papier" in ran.stderr


def test_edited_text_installs_nothing_again(image):
    section = image.context / "paper" / "manuscript.tex"
    section.write_text(section.read_text("utf-8") + "% edited\n", "utf-8")
    log = image.engine.build(image.context, TAG)
    steps = dict(re.findall(r"^#(\d+) \[[^\]]*\] RUN (.*)", log, re.M))
    cached = set(re.findall(r"^#(\d+) CACHED", log, re.M))
    installing = {number for number, step in steps.items() if "install" in step}
    assert len(installing) == 2
    assert installing <= cached
