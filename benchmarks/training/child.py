"""Worker process of one contestant: commands on stdin, answers on stdout, in JSON lines.

    python benchmarks/training/child.py CONTESTANT CORE [--pinned]

`make` makes a contestant of one shape, `run` times steps, `variance` measures explained variance on
held-out samples, `end` drops the contestant. `race.py` sends the commands.
"""

import json
import os
import sys
import time
from importlib import import_module
from itertools import islice
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "code"))

# Libraries may print, so stdout is redirected to stderr and answers use a copy of stdout.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def answer(**values) -> None:
    print(json.dumps(values), file=ANSWERS, flush=True)


class Feed:
    """Batches for a contestant, timed between requests."""

    def __init__(self, messages, x, held_out, shape):
        self.messages, self.shape, self.contestant = messages, shape, None
        self.held_out, self.batches = held_out, shapes.batches(x, shape.batch)

    def __iter__(self):
        # The first request comes when all is set up, also inside a library's own loop.
        answer()
        for message in self.messages:
            if message["do"] == "end":
                return
            if message["do"] == "variance":
                reconstruct = self.contestant.reconstruct
                answer(variance=shapes.explained_variance(reconstruct, self.held_out))
            else:
                ready = list(islice(self.batches, message["steps"]))
                start = time.perf_counter()
                yield from ready
                answer(seconds=time.perf_counter() - start)


def serve(module, messages) -> None:
    """Train contestants as commanded."""
    for message in messages:
        shape = shapes.SHAPES[message["shape"]]
        x, held_out = shapes.data(shape)
        feed = Feed(messages, x, held_out, shape)
        feed.contestant = module.Contestant(x, shape, message["seed"])
        feed.contestant.train(feed)
        answer()


def main(name: str, pinned: bool) -> None:
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    module = import_module(f"contestants.{name}")
    if pinned and name in contestants.OURS:
        # as our stages run; other libraries do not promise equal bits
        pinning.fix_after_torch()
    serve(module, map(json.loads, iter(sys.stdin.readline, "")))


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[2])})
    try:
        import contestants
        import shapes
        import torch

        from seedstability.numerics import pinning

        main(sys.argv[1], "--pinned" in sys.argv)
    except Exception as error:
        # Report any error of a library to the race; the traceback follows on stderr.
        answer(error=f"{type(error).__name__}: {error}")
        raise
