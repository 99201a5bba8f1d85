"""Checkpoints of a training run: the state in one file, written atomically."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from seedstability.dictionaries.config import FORMER_NAMES, TrainingConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.training.trainer import Trainer
from seedstability.errors import UserError
from seedstability.files import whole_file

_FIRINGS = "last_epoch_firings"


class Checkpoint:
    """The checkpoint file of one run; refuses the file of another run."""

    def __init__(
        self,
        path: Path,
        config: TrainingConfig,
        shape: tuple[int, int],
        initial_saes: list[SAE],
    ):
        """Identify the run.

        Args:
            path: the file.
            config: settings of the run.
            shape: shape of the activations.
            initial_saes: SAEs before the first step, which depend on the activations.
        """
        self.path = Path(path)
        digest = hashlib.sha256()
        for sae in initial_saes:
            for part in (sae.encoder, sae.decoder, sae.decoder_bias):
                digest.update(part.numpy().tobytes())
        # "starts" is the initial SAEs' name in files of every version.
        about = {"config": asdict(config), "shape": shape, "starts": digest.hexdigest()}
        self._run = json.dumps(about, sort_keys=True)

    def save(self, trainer: Trainer, done: int, firings: Int64[np.ndarray, "S n"]) -> None:
        """Replace the file by the state after `done` steps.

        Args:
            trainer: the trainer.
            done: number of steps.
            firings: firings of the last complete epoch.
        """
        state = {**trainer.state(), _FIRINGS: firings}
        arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path) as unfinished:
            save_file(arrays, unfinished, {"run": self._run, "done": str(done)})

    def load(self, trainer: Trainer) -> tuple[int, Int64[np.ndarray, "S n"]] | None:
        """Restore the trainer from the file.

        Returns:
            The number of steps done and the firings of the last complete epoch; None without a
            file.

        Raises:
            UserError: a damaged file, or one of another run or kind of device.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "numpy") as file:
                about = file.metadata() or {}
                # an open safetensors file has keys(), but cannot be iterated over
                # safetensors' handle is no mapping: it has keys() and cannot be walked itself
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{self.path} is not a readable checkpoint ({error}); "
                "remove it to start from the beginning"
            ) from None
        if _with_current_names(about.get("run", "")) != self._run:
            raise UserError(
                f"{self.path} is the checkpoint of other settings, seeds or activations; "
                "name another file, or remove it to start from the beginning"
            )
        firings = state.pop(_FIRINGS)
        if state.keys() != trainer.state().keys():
            raise UserError(
                f"{self.path} is the checkpoint of a run on another device; "
                "resume there, name another file, or remove it to start from the beginning"
            )
        trainer.load(state)
        return int(about["done"]), firings


def _with_current_names(run: str) -> str:
    """The description of a run, with the current names of settings."""
    try:
        about = json.loads(run)
        dictionary = about["config"]["dictionary"]
        about["config"]["dictionary"] = {
            FORMER_NAMES.get(name, name): value for name, value in dictionary.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return run
    return json.dumps(about, sort_keys=True)
