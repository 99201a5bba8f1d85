"""One contestant in a process of its own: reads what to do from stdin, answers on stdout.

    python benchmarks/training/child.py CONTESTANT CORE [--pinned]

A line each way, in JSON. `make` gives a fresh contestant of one shape, `run` times steps,
`variance` measures on held-out samples, `end` drops the contestant. The race talks to it.
"""

import json
import os
import sys
import time
from importlib import import_module
from itertools import islice
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "code"))

# Libraries print as they please, so they get stderr and the answers a copy of stdout.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def answer(**told) -> None:
    print(json.dumps(told), file=ANSWERS, flush=True)


class Feed:
    """The batches a contestant trains on; between asking for two, the time is the contestant's."""

    def __init__(self, messages, x, held_out, shape):
        self.messages, self.shape, self.contestant = messages, shape, None
        self.held_out, self.batches = held_out, shapes.batches(x, shape.batch)

    def __iter__(self):
        # Asked for the first time only when all is set up, inside a library's own loop too.
        answer()
        for message in self.messages:
            if message["do"] == "end":
                return
            if message["do"] == "variance":
                reconstruct = self.contestant.reconstruct
                answer(variance=shapes.explained_variance(reconstruct, self.held_out))
            else:
                ready = list(islice(self.batches, message["steps"]))
                began = time.perf_counter()
                yield from ready
                answer(seconds=time.perf_counter() - began)


def serve(module, messages) -> None:
    """Train one contestant after the other, as told."""
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
        # as our stages run; the others promise no bits and need not pay for them
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
        # Whatever a library raises, the race has to hear of it; the traceback follows on stderr.
        answer(error=f"{type(error).__name__}: {error}")
        raise
