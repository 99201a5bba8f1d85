"""The process that runs stages: it imports heavy libraries once and forks for every stage.

Started by `workers` as `python -m audit.pipeline.execution.worker COMMANDS EVENTS`, two numbers
of file descriptors. A command is pickled: libraries to have ready, the key's digest, and a pickled
`Job`. Events are dictionaries as JSON; each carries the stage's key and a `kind`.

Its parent may be killed at any point: then the commands end, this process with them,
and its children by the signal they asked for.
"""

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import pickle
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from audit.pipeline.execution.job import Job, perform
from seedstability import progress
from seedstability.errors import UserError
from seedstability.numerics import pinning

Send = Callable[..., None]
LARGEST_EVENT = 1 << 16
_PARENT_DIED = 1  # PR_SET_PDEATHSIG of prctl(2)


def serve(commands: Connection, events: socket.socket) -> None:
    """Fork a child for each command, until the commands end."""
    children: dict[int, tuple[int, str]] = {}
    ready_libraries: set[str] = set()
    with selectors.DefaultSelector() as ready:
        ready.register(commands, selectors.EVENT_READ)
        while True:
            for found, _ in ready.select():
                if found.fileobj is not commands:
                    ready.unregister(found.fileobj)
                    _reap(found.fd, *children.pop(found.fd), events)
                    continue
                try:
                    libraries, key, job = commands.recv()
                except EOFError:
                    return
                _have_ready(libraries - ready_libraries)
                ready_libraries |= libraries
                pid = os.fork()
                if pid == 0:
                    ready.close()
                    commands.close()
                    _child(job, key, events)
                handle = os.pidfd_open(pid)
                children[handle] = (pid, key)
                ready.register(handle, selectors.EVENT_READ)


def _have_ready(names: set[str]) -> None:
    """Import modules, or what of a module some name stands for."""
    for name in sorted(names):
        module, _, part = name.rpartition(".")
        # What does not import here will say so in the stage that really needs it.
        with contextlib.suppress(ImportError, AttributeError, ValueError):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                getattr(importlib.import_module(module), part)
    if any(name.startswith("numba") for name in names):
        # The first function that a process compiles or loads takes 0.3 s, for all that numba knows.
        importlib.import_module("numba").njit(lambda: None)()
    if names:
        # Children then share these objects' memory, because their collector leaves them alone.
        gc.freeze()


def _reap(handle: int, pid: int, key: str, events: socket.socket) -> None:
    os.close(handle)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        events.send(json.dumps({"kind": "died", "key": key, "text": how}).encode())


def _child(pickled: bytes, key: str, events: socket.socket) -> None:
    """Run one stage and end the process."""

    def send(kind: str, **what) -> None:
        events.send(json.dumps({"kind": kind, "key": key, **what}).encode())

    try:
        _die_with_parent()
        job: Job = pickle.loads(pickled)
        _write_output_to(job.log)
        if "torch" in sys.modules:
            pinning.fix_after_torch(job.threads)
        progress.listen(_throttled(send))
        outcome = perform(job, waiting=lambda: send("waiting"))
        job.log.unlink(missing_ok=True)
        send(**outcome)  # after which the parent may be done and kill us
    except UserError as error:
        send("failed", text=str(error), mistake=True)
    except Exception:
        # Nothing is swallowed: the parent stops the run and shows this traceback.
        send("failed", text=traceback.format_exc()[-LARGEST_EVENT // 4 :], mistake=False)
    except BaseException:
        os._exit(1)
    finally:
        # `_exit` leaves out what a Python process does at its end, this too.
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent or parent == 1:
        os._exit(1)


def _write_output_to(log: Path) -> None:
    """What libraries print would tear the display; it is kept for when the stage fails."""
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except OSError as error:
        raise UserError(f"{log} cannot be written: {error.strerror}") from None
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    faulthandler.enable()


def _throttled(send: Send) -> Callable[[float], None]:
    last = 0.0

    def listener(share: float) -> None:
        nonlocal last
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            send("progress", share=share)

    return listener


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
