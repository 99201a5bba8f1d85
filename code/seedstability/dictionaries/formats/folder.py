"""Load and save SAE checkpoints; detect the format of a folder."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from seedstability.dictionaries.formats import dictionary_learning, own, saelens, sparsify
from seedstability.dictionaries.formats.format import Files, Format
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.files import whole_folder

FORMATS: dict[str, Format] = {
    "seedstability": own.FORMAT,
    "saelens": saelens.FORMAT,
    "sparsify": sparsify.FORMAT,
    "dictionary_learning": dictionary_learning.FORMAT,
}
_WRITABLE = [name for name, format in FORMATS.items() if format.write]
_MAX_NAMED = 3


class Found(NamedTuple):
    """Format and files of a checkpoint, before reading."""

    format: str
    """A name in `FORMATS`."""
    files: tuple[Path, ...]
    """Files that `load` reads, in a fixed order."""


def recognize(folder: Path | str) -> Found:
    """Detect a folder's checkpoint format from its file names.

    Raises:
        UserError: not a folder, no SAE, or more than one.
    """
    folder = Path(folder)
    names = _names(folder)
    formats = [name for name, each in FORMATS.items() if {each.settings, each.weights} <= names]
    if not formats:
        raise UserError(f"{folder} contains no SAE; {_missing(folder, names)}")
    if len(formats) > 1:
        raise UserError(
            f"{folder} contains SAEs of {' and '.join(formats)}; give each SAE its own folder"
        )
    each = FORMATS[formats[0]]
    files = (each.settings, each.weights, *(name for name in each.optional if name in names))
    return Found(formats[0], tuple(folder / name for name in files))


def load(folder: Path | str) -> SAE:
    """Load an SAE checkpoint of any supported format, as float32 on the CPU.

    `reconstruct` agrees with the library's own class to float32 rounding. Settings of training are
    our defaults except in our own format. Code in the files is not run.

    Raises:
        UserError: no SAE, an unsupported one, or a damaged file.
    """
    sae = FORMATS[recognize(folder).format].read(Path(folder))
    for name in _shapes(sae):
        # Stored weights are finite; folding in a scale may overflow.
        if not getattr(sae, name).isfinite().all():
            raise UserError(f"{folder}: {name} overflows float32 after folding in the scales")
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
    with whole_folder(folder) as unfinished:
        text = json.dumps(files.settings, indent=2) + "\n"
        (unfinished / format.settings).write_text(text, "utf-8")
        # Copies: safetensors refuses encoder and decoder that share memory.
        weights = {
            name: torch.empty(tensor.shape).copy_(tensor.detach())
            for name, tensor in files.weights.items()
        }
        save_file(weights, unfinished / format.weights)
        # safetensors sets mode 600; use the mode that the umask gave the settings file.
        (unfinished / format.weights).chmod((unfinished / format.settings).stat().st_mode)


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


def _missing(folder: Path, names: set[str]) -> str:
    """Hint for a folder without an SAE: the missing file, subfolders with SAEs, or the files
    expected."""
    for name, each in FORMATS.items():
        if each.weights in names:
            return f"{each.weights} ({name}) needs {each.settings} beside it"
    below = [name for name in sorted(names) if _holds_sae(folder / name)]
    if below:
        more = f" and {len(below) - _MAX_NAMED} more" if len(below) > _MAX_NAMED else ""
        return f"these subfolders do: {', '.join(below[:_MAX_NAMED])}{more}"
    wanted = (f"{each.settings} + {each.weights} ({name})" for name, each in FORMATS.items())
    return f"need {', or '.join(wanted)}"


def _holds_sae(folder: Path) -> bool:
    return any(
        os.path.lexists(folder / each.settings) and os.path.lexists(folder / each.weights)
        for each in FORMATS.values()
    )
