"""A cache of activations on disk: memory-mapped shards, shuffled once, recreated when deleted.

A folder holds the activations of one model at one hook point, on contexts given by their tokens.
Its name is a hash of all that and of the code that reads activations, so the same request recreates
the same bits. Memory is bounded by a batch of contexts and eight bytes a token for the order;
shards are memory-mapped, so that the system can write them out and free the memory. An interrupted
run continues after the last contexts that were flushed to disk.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from audit.subjects.language_model.config import ActivationsConfig
from audit.subjects.language_model.results import TextActivations
from audit.subjects.language_model.text import Contexts
from seedstability.dictionaries.samples import InMemory, Samples, Shards
from seedstability.errors import UserError
from seedstability.files import write_whole
from seedstability.progress import report

SHARD_ROWS = 65_536
"""Tokens in a shard: 32 MB at width 128."""
READ_CONTEXTS = 64
"""Contexts in one forward pass. Fixed, so that matrix products always have the same shapes."""
_FLUSH_EVERY = 16
"""Forward passes between two flushes to disk."""
_IN_MEMORY = 1 << 28
"""Bytes up to which training keeps its samples in memory."""


def store_folder() -> Path:
    """Return the folder of the shards: beside the results of a run, or in the user's cache.

    Raises:
        UserError: no folder is given, and the user has no home.
    """
    if given := os.environ.get("SEEDSTABILITY_ACTIVATIONS"):
        return Path(given)
    try:
        return Path.home() / ".cache" / "seedstability" / "activations"
    except RuntimeError:  # no HOME, and a user without an entry in the password file
        raise UserError(
            "there is no home to keep activations in; set SEEDSTABILITY_ACTIVATIONS to a folder"
        ) from None


def stored_samples(activations: TextActivations, samples: int | None = None) -> Samples:
    """Open all training samples of a language model, or the first `samples` of them."""
    shards = open_or_create(
        ActivationsConfig(**_tuples(json.loads(activations["request"]))),
        activations["train_contexts"],
        samples,
    )
    m, d = shards.shape
    if 4 * m * d <= _IN_MEMORY:
        return InMemory(torch.cat(list(shards.parts())))
    return shards


def open_or_create(
    config: ActivationsConfig, contexts: Contexts, rows: int | None = None
) -> Shards:
    """Open the shards of a request, or their first rows; create them if they do not exist.

    Args:
        config: model and hook point to read.
        contexts: tokens of the contexts.
        rows: number of tokens; all if omitted.

    Raises:
        UserError: the model is not available, or has no such hook point.
    """
    folder = store_folder() / _key(config, contexts)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _make(config, contexts, folder)
    return Shards(folder, rows)


def read(
    config: ActivationsConfig, contexts: Contexts, start: int = 0
) -> Iterator[Float[Tensor, "tokens d"]]:
    """Yield activations of batches of contexts, in the order of the text.

    The first position of a context is skipped: it sees only the separator, and its activations are
    atypical.

    Args:
        config: model and hook point to read.
        contexts: tokens of the contexts.
        start: number of batches to skip.

    Raises:
        UserError: as `open_or_create`.
    """
    # Transformers are slow to import, and training on existing shards does not need them.
    from audit.subjects.language_model.checkpoint import checked_hook, open_model

    model = open_model(config.model, config.allow_download)
    hook = checked_hook(config.hook, model.cfg.n_layers)
    tokens = torch.from_numpy(np.ascontiguousarray(contexts, dtype=np.int64))
    for batch in tokens.split(READ_CONTEXTS)[start:]:
        yield _at_hook(model, batch, hook)[:, 1:].flatten(0, 1)


@torch.no_grad()
def _at_hook(model: Any, tokens: Int[Tensor, "b length"], hook: str) -> Float[Tensor, "b length d"]:
    stop = int(hook.split(".")[1]) + 1
    _, cache = model.run_with_cache(tokens, names_filter=hook, stop_at_layer=stop)
    return cache[hook]


def _make(config: ActivationsConfig, contexts: Contexts, folder: Path) -> None:
    unfinished = folder.with_suffix(".unfinished")
    unfinished.mkdir(exist_ok=True)
    total, length = len(contexts), contexts.shape[1] - 1
    homes = _shuffled_rows(total * length, config)
    passes, done = -(-total // READ_CONTEXTS), _flushed_passes(unfinished)
    shards: list[np.memmap] = []
    for number, part in enumerate(read(config, contexts, done), start=done):
        if not shards:
            shards = _shards(unfinished, min(config.tokens, len(homes)), part.shape[1])
        first = number * READ_CONTEXTS * length
        _scatter(shards, homes[first : first + len(part)], part.numpy())
        if (number + 1) % _FLUSH_EVERY == 0:
            _flush(unfinished, shards, number + 1)
        report(number + 1, passes)
    for shard in shards:
        shard.flush()
    (unfinished / "done.json").unlink(missing_ok=True)
    unfinished.rename(folder)


def _shuffled_rows(positions: int, config: ActivationsConfig) -> np.ndarray:
    """Return the shuffled row of each position; rows from `config.tokens` on are not stored."""
    generator = torch.Generator().manual_seed(config.seed)
    return torch.randperm(positions, generator=generator).numpy()


def _shards(folder: Path, tokens: int, d: int) -> list[np.memmap]:
    shards = []
    for number, first in enumerate(range(0, tokens, SHARD_ROWS)):
        path = folder / f"{number:06d}.npy"
        shape = (min(SHARD_ROWS, tokens - first), d)
        mode = "r+" if path.exists() else "w+"
        shards.append(np.lib.format.open_memmap(path, mode=mode, dtype=np.float32, shape=shape))
    return shards


def _scatter(shards: list[np.memmap], rows: np.ndarray, part: np.ndarray) -> None:
    home = rows // SHARD_ROWS
    for number in np.unique(home[home < len(shards)]):
        mine = home == number
        within = rows[mine] - number * SHARD_ROWS
        kept = within < len(shards[number])
        shards[number][within[kept]] = part[mine][kept]


def _flush(folder: Path, shards: list[np.memmap], done: int) -> None:
    for shard in shards:
        shard.flush()
    write_whole(folder / "done.json", json.dumps(done))


def _flushed_passes(folder: Path) -> int:
    try:
        return int(json.loads((folder / "done.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        # Without the record, nothing that an interrupted run left is known to be complete.
        for path in folder.iterdir():
            path.unlink()
        return 0


def _key(config: ActivationsConfig, contexts: Contexts) -> str:
    here = Path(__file__).parent
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    for name in ("activation_store.py", "checkpoint.py"):
        digest.update((here / name).read_bytes())
    digest.update(np.ascontiguousarray(contexts, dtype=np.int32).tobytes())
    return digest.hexdigest()[:24]


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; other processes wait."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
