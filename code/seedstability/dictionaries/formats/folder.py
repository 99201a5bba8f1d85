"""Load and save SAE checkpoints; detect the format of a folder."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from seedstability.dictionaries.foreign import ForeignSAE
from seedstability.dictionaries.formats import (
    dictionary_learning,
    gemma_scope,
    own,
    saelens,
    sparsify,
)
from seedstability.dictionaries.formats.format import Checkpoint, Files, Format
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.files import whole_folder

FORMATS: dict[str, Format] = {
    "seedstability": own.FORMAT,
    "saelens": saelens.FORMAT,
    "sparsify": sparsify.FORMAT,
    "dictionary_learning": dictionary_learning.FORMAT,
    "gemma_scope": gemma_scope.FORMAT,
    "gemma_scope_2": gemma_scope.FORMAT_2,
}
_WRITABLE = [name for name, format in FORMATS.items() if format.write]
_MAX_NAMED = 3


class Found(NamedTuple):
    """Format and files of a checkpoint, before reading."""

    format: str
    """A name in `FORMATS`."""
    checkpoint: Checkpoint
    """Its files."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that `load` reads, in a fixed order."""
        weights, settings, more, _ = self.checkpoint
        return (*([] if settings is None else [settings]), weights, *more)

    def stated_by_path(self) -> dict[str, Any]:
        """Settings that the path states."""
        stated = FORMATS[self.format].stated
        return stated(self.checkpoint.weights) if stated else {}


def recognize(path: Path | str) -> Found:
    """Detect a checkpoint's format from its file names.

    Args:
        path: a folder, or the file of weights in it; of dictionary_learning also
            `checkpoints/ae_N.pt`, whose settings lie one folder up.

    Raises:
        UserError: no SAE, or more than one.
    """
    path = Path(path)
    if path.is_file():
        return _of_file(path)
    names = _names(path)
    formats = [name for name, each in FORMATS.items() if {*each.files} <= names]
    if len(formats) > 1:
        raise UserError(
            f"{path} contains SAEs of {' and '.join(formats)}; give each SAE its own folder"
        )
    if not formats:
        steps = _steps(path, names)
        if len(steps) == 1:
            return _of_file(path / steps[0])
        raise UserError(f"{path} contains no SAE; {_missing(path, names, steps)}")
    each = FORMATS[formats[0]]
    settings = None if each.settings is None else path / each.settings
    more = tuple(path / name for name in each.optional if name in names)
    return Found(formats[0], Checkpoint(path / each.weights, settings, more))


def is_sae(path: Path | str) -> bool:
    """Whether `recognize` detects an SAE."""
    try:
        recognize(path)
    except UserError:
        return False
    return True


def load(path: Path | str, mean_norm: float | Callable[[int], float] | None = None) -> SAE:
    """Load an SAE checkpoint of any supported format, as float32 on the CPU.

    `reconstruct` agrees with the library's own class to rounding. Settings of training are our
    defaults except in our own format. Code in the files is not run.

    Args:
        path: a folder or file; see `recognize`.
        mean_norm: mean norm of the activations, or a function of their width that gives it. Only
            SAEs of SAELens need it that were trained on activations times a factor that they do not
            state.

    Raises:
        UserError: no SAE, an unsupported one, or a damaged file.
    """
    found = recognize(path)
    norm_of = (lambda d: mean_norm) if isinstance(mean_norm, int | float) else mean_norm
    sae = FORMATS[found.format].read(found.checkpoint._replace(mean_norm=norm_of))
    for name in _shapes(sae):
        # Stored weights are finite; folding in a scale may overflow.
        if not getattr(sae, name).isfinite().all():
            raise UserError(f"{path}: {name} overflows float32 after folding in the scales")
    return sae


def save(sae: SAE, folder: Path | str, format: str = "seedstability") -> None:
    """Save an SAE checkpoint, atomically.

    Args:
        sae: the SAE, written as float32.
        folder: a new or empty folder.
        format: `seedstability` keeps everything; `saelens` and `sparsify` what `reconstruct` needs.

    Raises:
        UserError: the folder exists and is not empty, or the format does not support the SAE.
    """
    write = FORMATS[format].write if format in FORMATS else None
    if write is None:
        raise UserError(f"format is {format!r}; it must be one of {', '.join(_WRITABLE)}")
    if isinstance(sae, ForeignSAE):
        raise UserError(
            "the SAE normalizes samples, has a tanh or computes in half precision, as SAELens does;"
            " it can be measured, not saved"
        )
    _check(sae)
    files = write(sae)
    folder = Path(folder)
    try:
        if os.path.lexists(folder) and not (folder.is_dir() and not os.listdir(folder)):
            raise UserError(f"{folder} exists; save an SAE to a new or empty folder")
        _write(files, FORMATS[format], folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder} cannot be written ({error})") from None


def _write(files: Files, format: Format, folder: Path) -> None:
    assert format.settings is not None  # as in all formats that can be written
    with whole_folder(folder) as unfinished:
        settings = unfinished / format.settings
        settings.write_text(json.dumps(files.settings, indent=2) + "\n", "utf-8")
        # Copies: safetensors refuses encoder and decoder that share memory.
        weights = {
            name: torch.empty(tensor.shape).copy_(tensor.detach())
            for name, tensor in files.weights.items()
        }
        save_file(weights, unfinished / format.weights)
        # safetensors sets mode 600; use the mode that the umask gave the settings file.
        (unfinished / format.weights).chmod(settings.stat().st_mode)


def _shapes(sae: SAE) -> dict[str, tuple[int, ...]]:
    n, d = sae.decoder.shape
    return {
        "encoder": (n, d),
        "encoder_bias": (n,),
        "decoder": (n, d),
        "decoder_bias": (d,),
        "threshold": (n,),
    }


def _check(sae: SAE) -> None:
    n = len(sae.decoder)
    if sae.config.n_latents != n:
        raise UserError(f"n_latents is {sae.config.n_latents}; the decoder has {n} rows")
    for name, shape in _shapes(sae).items():
        tensor = getattr(sae, name)
        if tuple(tensor.shape) != shape:
            raise UserError(f"the SAE's {name} has shape {list(tensor.shape)}, not {list(shape)}")
        if not tensor.isfinite().all():
            raise UserError(f"the SAE's {name} contains NaN or infinity; weights must be finite")


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError as error:
        raise UserError(f"{folder} is not a readable folder ({error.strerror})") from None


def _of_file(path: Path) -> Found:
    """The checkpoint with this file of weights or of settings."""
    if any(path.name in each.files for each in FORMATS.values()):
        return recognize(path.parent)
    settings = dictionary_learning.FORMAT.settings
    assert settings is not None
    if path.suffix == ".pt":
        for folder in (path.parent, path.parent.parent):
            if (folder / settings).is_file():
                return Found("dictionary_learning", Checkpoint(path, folder / settings))
        raise UserError(f"{path} needs {settings} beside it or one folder up")
    raise UserError(
        f"{path} is no file of an SAE; {_wanted()}. A decoder of other files is compared with"
        " --decoders-only (decoders_only=True)"
    )


def _steps(folder: Path, names: set[str]) -> list[str]:
    """Names of dictionary_learning's checkpoints over time, in order."""
    steps = [name for name in names if re.fullmatch(r"ae_\d+\.pt", name)]
    return sorted(steps, key=lambda name: int(name[3:-3]))


def _missing(folder: Path, names: set[str], steps: list[str]) -> str:
    """Hint for a folder without an SAE: the missing file, files or subfolders with SAEs, or the
    files expected."""
    if steps:
        return f"give one of its files, such as {steps[-1]}"
    for name, each in FORMATS.items():
        if each.weights in names:
            return f"{each.weights} ({name}) needs {each.settings} beside it"
    below = [name for name in sorted(names) if _holds_sae(folder / name)]
    if below:
        more = f" and {len(below) - _MAX_NAMED} more" if len(below) > _MAX_NAMED else ""
        return f"these subfolders do: {', '.join(below[:_MAX_NAMED])}{more}"
    return _wanted()


def _wanted() -> str:
    wanted = (f"{' + '.join(each.files)} ({name})" for name, each in FORMATS.items())
    return f"need {', or '.join(wanted)}"


def _holds_sae(folder: Path) -> bool:
    return any(
        all(os.path.lexists(folder / name) for name in each.files) for each in FORMATS.values()
    )
