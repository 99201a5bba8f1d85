"""A cache of activations on disk: memory-mapped shards, shuffled once, recreated when deleted.

A folder holds the activations of one model at one hook point or several, each in a folder of its
own, on contexts given by their tokens. Its name is a hash of all that and of the code that reads
activations, so the same request recreates the same bits. Memory is bounded by a batch of contexts
and eight bytes a token for the order; shards are memory-mapped, so that the system can write them
out and free the memory. An interrupted run continues after the last contexts that were flushed to
disk.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from seedstability.files import exclusive, write_whole
from seedstability.progress import report

SHARD_ROWS = 65_536
"""Tokens in a shard: 32 MB at width 128."""
READ_CONTEXTS = 64
"""Contexts in one forward pass. Fixed, so that matrix products always have the same shapes."""
_FLUSH_EVERY = 16
"""Forward passes between two flushes to disk."""
_STATE = "done.json"
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
        UserError: the model is not available or has no such hook point, the contexts hold too few
            tokens, or the disk is too full.
    """
    folder = store_folder() / _key(config, contexts)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _make(config, contexts, folder)
    return Shards(folder / config.hook, rows)


def read(
    config: ActivationsConfig, contexts: Contexts, start: int = 0
) -> Iterator[dict[str, Float[Tensor, "b positions d"]]]:
    """Yield activations of batches of contexts by hook point, in the order of the text.

    The first position of a context is skipped: it sees only the separator, and its activations are
    atypical.

    Args:
        config: model and hook points to read.
        contexts: tokens of the contexts.
        start: number of batches to skip.

    Raises:
        UserError: as `open_or_create`.
    """
    # Transformers are slow to import, and training on existing shards does not need them.
    from audit.subjects.language_model.checkpoint import checked_hook, open_model

    model = open_model(config.model, config.allow_download)
    hooks = [checked_hook(hook, model.cfg.n_layers) for hook in _hooks(config)]
    tokens = torch.from_numpy(np.ascontiguousarray(contexts, dtype=np.int64))
    for batch in tokens.split(READ_CONTEXTS)[start:]:
        yield {name: x[:, 1:] for name, x in _at_hooks(model, batch, hooks).items()}


def median_norm(x: Float[Tensor, "... d"]) -> float:
    """Return the median norm of activations, against which massive ones are told."""
    return float(x.norm(dim=-1).median())


@torch.no_grad()
def _at_hooks(
    model: Any, tokens: Int[Tensor, "b length"], hooks: Sequence[str]
) -> dict[str, Float[Tensor, "b length d"]]:
    stop = max(int(hook.split(".")[1]) for hook in hooks) + 1
    _, cache = model.run_with_cache(tokens, names_filter=list(hooks), stop_at_layer=stop)
    return {hook: cache[hook] for hook in hooks}


def _hooks(config: ActivationsConfig) -> list[str]:
    return sorted({config.hook, *config.together})


@dataclass
class _Unfinished:
    """What of a folder is on disk."""

    passes: int = 0
    """Forward passes whose activations are."""
    kept: dict[str, int] = field(default_factory=dict)
    """Tokens kept so far at each hook point."""
    limit: dict[str, float] = field(default_factory=dict)
    """Largest norm of a kept token."""


def _make(config: ActivationsConfig, contexts: Contexts, folder: Path) -> None:
    unfinished = folder.with_suffix(".unfinished")
    unfinished.mkdir(exist_ok=True)
    positions = contexts[:, 1:].size
    # Where tokens are left out, the places of those kept are shuffled among each other.
    homes = _shuffled_rows(config.tokens if config.max_norm_multiple else positions, config)
    passes, state = -(-len(contexts) // READ_CONTEXTS), _flushed(unfinished)
    shards: dict[str, list[np.memmap]] = {}
    for number, read_now in enumerate(read(config, contexts, state.passes), start=state.passes):
        if not shards:
            shards = _all_shards(unfinished, read_now, min(config.tokens, len(homes)))
        for hook, x in read_now.items():
            _keep(x.flatten(0, 1), hook, shards[hook], homes, state, config)
        state.passes = number + 1
        if state.passes % _FLUSH_EVERY == 0:
            _flush(unfinished, shards, state)
        report(state.passes, passes)
        if all(state.kept[hook] >= len(homes) for hook in shards):
            break
    short = min(state.kept.values(), default=0)
    if short < min(config.tokens, len(homes)):
        raise UserError(
            f"{config.tokens} tokens are wanted, and {short} of {positions} have no massive norm; "
            "give more contexts"
        )
    _flush_shards(shards)
    (unfinished / _STATE).unlink(missing_ok=True)
    unfinished.rename(folder)


def _keep(
    x: Float[Tensor, "tokens d"],
    hook: str,
    shards: list[np.memmap],
    homes: np.ndarray,
    state: _Unfinished,
    config: ActivationsConfig,
) -> None:
    """Write the tokens of one pass at one hook point to their shuffled places."""
    if config.max_norm_multiple:
        limit = state.limit.setdefault(hook, config.max_norm_multiple * median_norm(x))
        x = x[x.norm(dim=1) <= limit]
    first = state.kept.setdefault(hook, 0)
    rows = homes[first : first + len(x)]
    _scatter(shards, rows, x[: len(rows)].numpy())
    state.kept[hook] = first + len(rows)


def _all_shards(
    folder: Path, read_now: dict[str, Float[Tensor, "b positions d"]], tokens: int
) -> dict[str, list[np.memmap]]:
    wanted = sum(4 * tokens * x.shape[-1] for x in read_now.values())
    there = sum(path.stat().st_size for path in folder.rglob("*.npy"))
    if wanted - there > shutil.disk_usage(folder).free:
        raise UserError(
            f"{folder.parent} has too little space for {wanted / 1e9:.1f} GB of activations; free "
            "some, or put the folder elsewhere with SEEDSTABILITY_ACTIVATIONS"
        )
    return {hook: _shards(folder / hook, tokens, x.shape[-1]) for hook, x in read_now.items()}


def _shuffled_rows(positions: int, config: ActivationsConfig) -> np.ndarray:
    """Return the shuffled row of each position; rows from `config.tokens` on are not stored."""
    generator = torch.Generator().manual_seed(config.seed)
    return torch.randperm(positions, generator=generator).numpy()


def _shards(folder: Path, tokens: int, d: int) -> list[np.memmap]:
    folder.mkdir(exist_ok=True)
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


def _flush_shards(shards: dict[str, list[np.memmap]]) -> None:
    for each in shards.values():
        for shard in each:
            shard.flush()


def _flush(folder: Path, shards: dict[str, list[np.memmap]], state: _Unfinished) -> None:
    _flush_shards(shards)
    write_whole(folder / _STATE, json.dumps(asdict(state)))


def _flushed(folder: Path) -> _Unfinished:
    try:
        return _Unfinished(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # Without the record, nothing that an interrupted run left is known to be complete.
        shutil.rmtree(folder)
        folder.mkdir()
        return _Unfinished()


def _key(config: ActivationsConfig, contexts: Contexts) -> str:
    here = Path(__file__).parent
    request = asdict(replace(config, hook="", together=())) | {"hooks": _hooks(config)}
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode())
    for name in ("activation_store.py", "checkpoint.py"):
        digest.update((here / name).read_bytes())
    digest.update(np.ascontiguousarray(contexts, dtype=np.int32).tobytes())
    return digest.hexdigest()[:24]


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
