"""The parent's end of the worker process: start it when something has to run, talk, kill."""

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from audit.pipeline.execution.job import Job
from audit.pipeline.execution.worker import LARGEST_EVENT
from seedstability.numerics import pinning

# Slow to import, and safe to have imported before a fork. The worker loads of these what the
# stages that come to it import, so that ten stages pay once.
_WORTH_SHARING = ("torch", "transformer_lens", "transformers", "sklearn", "scipy", "numpy", "numba")


class Workers:
    """One worker process and the children it forks; a context that leaves none behind."""

    def __init__(
        self,
        threads: int = 1,
        device: str = "cpu",
        compiled: Path | None = None,
        activations: Path | None = None,
    ):
        """Nothing starts before the first job.

        Args:
            threads: for each child.
            device: where stages that can choose compute, `cpu` or `cuda`.
            compiled: folder for numba's machine code; left out, numba looks for one itself.
            activations: folder for activations that are too large for a result.
        """
        self.threads = threads
        self.device = device
        self.compiled = compiled
        self.activations = activations
        self._process: subprocess.Popen | None = None
        self._commands: Connection | None = None
        self._events: socket.socket | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    def start(self, job: Job, imports: set[str]) -> None:
        """Have a job run in a process of its own.

        Args:
            job: what to do.
            imports: dotted names that the stage's code imports.
        """
        if self._commands is None:
            self._launch()
        libraries = {name for name in imports if name.partition(".")[0] in _WORTH_SHARING}
        assert self._commands is not None
        # If the worker has died, its events say so.
        with contextlib.suppress(BrokenPipeError):
            self._commands.send((libraries, job.key.digest, pickle.dumps(job)))

    def event(self, timeout: float) -> dict[str, Any] | None:
        """What some child has to say next, or nothing for `timeout` seconds."""
        assert self._events is not None
        self._events.settimeout(timeout)
        try:
            message = self._events.recv(LARGEST_EVENT)
        except TimeoutError:
            return None
        if not message:
            raise RuntimeError("the worker process ended by itself; was it out of memory?")
        return json.loads(message)

    def kill(self) -> None:
        """End the worker and all its children at once; what they were writing never appears."""
        if self._process is None:
            return
        # They form a process group of their own, so that this reaches no other process.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for end in (self._commands, self._events):
            if end is not None:
                end.close()
        self._process = self._commands = self._events = None

    def _launch(self) -> None:
        theirs, self._commands = Pipe(duplex=False)
        # Keeps messages whole, however many children send at once.
        self._events, their_events = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ends = (theirs.fileno(), their_events.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "audit.pipeline.execution.worker", *map(str, ends)],
            env=self._environment(),
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            # Ctrl-C in the terminal is for us to hear; we then kill the group.
            start_new_session=True,
        )
        theirs.close()
        their_events.close()

    def _environment(self) -> dict[str, str]:
        search_path = os.pathsep.join(path for path in sys.path if path)
        # Stages ask this variable where to compute; the device is in the numeric ABI, not in keys.
        ours = {"PYTHONPATH": search_path, "SEEDSTABILITY_DEVICE": self.device}
        if self.compiled:
            ours["NUMBA_CACHE_DIR"] = str(self.compiled)
        if self.activations:
            ours["SEEDSTABILITY_ACTIVATIONS"] = str(self.activations)
        # Otherwise importing torch may touch the driver, after which no child could use the card.
        ours["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
        return {**os.environ, **pinning.environment(self.threads), **ours}
