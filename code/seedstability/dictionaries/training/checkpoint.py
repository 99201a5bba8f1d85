"""Training that can be interrupted: its whole state in one file, whole or not at all."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

_FIRINGS = "last_epoch_firings"


class Engine(Protocol):
    """What has a state: `ThreadedTrainer` or `BatchedTrainer`."""

    def state(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on."""
        ...

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Go on from there."""
        ...


class Checkpoint:
    """One run's file; it remembers what run that is, and refuses to go on with another."""

    def __init__(
        self,
        path: Path,
        config: TrainingConfig,
        shape: tuple[int, int],
        initial_saes: list[SAE],
    ):
        """Name the run by its settings, the activations' shape, and where it began, which depends
        on the activations."""
        self.path = Path(path)
        digest = hashlib.sha256()
        for sae in initial_saes:
            for part in (sae.encoder, sae.decoder, sae.decoder_bias):
                digest.update(part.numpy().tobytes())
        about = {"config": asdict(config), "shape": shape, "starts": digest.hexdigest()}
        self._run = json.dumps(about, sort_keys=True)

    def save(self, engine: Engine, done: int, firings: Int64[np.ndarray, "S n"]) -> None:
        """Replace the file by the state after `done` steps; `firings` are of the last epoch."""
        state = {**engine.state(), _FIRINGS: firings}
        arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            save_file(arrays, unfinished, {"run": self._run, "done": str(done)})
            with open(unfinished, "rb+") as file:
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    def load(self, engine: Engine) -> tuple[int, Int64[np.ndarray, "S n"]] | None:
        """Bring `engine` to the state in the file; returns the steps done and the last whole
        epoch's firings, or nothing where there is no file.

        Raises:
            UserError: a damaged file, or one of another run or kind of device.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "numpy") as file:
                about = file.metadata() or {}
                # the file has keys(), but is no mapping that could be walked
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{self.path} is no checkpoint that can be read ({error}); "
                "remove it to start from the beginning"
            ) from None
        if about.get("run") != self._run:
            raise UserError(
                f"{self.path} is the checkpoint of other settings, seeds or activations; "
                "name another file, or remove it to start from the beginning"
            )
        firings = state.pop(_FIRINGS)
        if state.keys() != engine.state().keys():
            raise UserError(
                f"{self.path} is the checkpoint of a run on another device; "
                "go on there, name another file, or remove it to start from the beginning"
            )
        engine.load(state)
        return int(about["done"]), firings
