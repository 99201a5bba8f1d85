"""SAEs in folders: which library's it is, reading it, and writing one that a library can read."""

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from seedstability.dictionaries.formats import dictionary_learning, own, saelens, sparsify
from seedstability.dictionaries.formats.format import Files, Format
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

FORMATS: dict[str, Format] = {
    "seedstability": own.FORMAT,
    "saelens": saelens.FORMAT,
    "sparsify": sparsify.FORMAT,
    "dictionary_learning": dictionary_learning.FORMAT,
}
_WRITTEN = [name for name, format in FORMATS.items() if format.write]
_NAMED = 3


class Found(NamedTuple):
    """An SAE in a folder, before anything of it is read."""

    format: str
    """A name in `FORMATS`."""
    files: tuple[Path, ...]
    """What `load` reads, in a fixed order."""


def recognize(folder: Path | str) -> Found:
    """Which library's SAE a folder holds, from the names in it.

    Raises:
        UserError: it holds none, or more than one, or is no folder.
    """
    folder = Path(folder)
    names = _names(folder)
    formats = [name for name, each in FORMATS.items() if {each.settings, each.weights} <= names]
    if not formats:
        raise UserError(f"{folder} holds no SAE; {_missing(folder, names)}")
    if len(formats) > 1:
        raise UserError(f"{folder} holds SAEs of {' and '.join(formats)}; one folder, one SAE")
    each = FORMATS[formats[0]]
    files = (each.settings, each.weights, *(name for name in each.beside if name in names))
    return Found(formats[0], tuple(folder / name for name in files))


def load(folder: Path | str) -> SAE:
    """The SAE in a folder, of whichever library, as float32 on the CPU.

    `reconstruct` gives what the library's own class gives, but for float32's rounding. Settings of
    training are our defaults except in our own format. Nothing in the files is run.

    Raises:
        UserError: no SAE, one that cannot be one of ours, or a file that is damaged.
    """
    sae = FORMATS[recognize(folder).format].read(Path(folder))
    for name in _shapes(sae):
        # What a file holds is finite; a factor that it says may have made it otherwise.
        if not getattr(sae, name).isfinite().all():
            raise UserError(f"{folder}: {name} is beyond float32 once scales are folded in")
    return sae


def save(sae: SAE, folder: Path | str, format: str = "seedstability") -> None:
    """Write an SAE into a folder, which is there whole or not at all.

    Args:
        sae: the dictionary, written as float32.
        folder: new, or empty.
        format: `seedstability` keeps everything; `saelens` and `sparsify` what `reconstruct` needs.

    Raises:
        UserError: the folder is there already, or the format has no such SAE.
    """
    write = FORMATS[format].write if format in FORMATS else None
    if write is None:
        raise UserError(f"format is {format!r}; written are {', '.join(_WRITTEN)}")
    _check(sae)
    files = write(sae)
    folder = Path(folder)
    try:
        if os.path.lexists(folder) and not (folder.is_dir() and not os.listdir(folder)):
            raise UserError(f"{folder} is there already; an SAE goes to a new or empty folder")
        _write_whole(files, FORMATS[format], folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder} cannot be written ({error})") from None


def _write_whole(files: Files, format: Format, folder: Path) -> None:
    # A link to an empty folder cannot be renamed onto; where it leads can.
    target = Path(os.path.realpath(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}-{uuid4().hex[:8]}")
    unfinished.mkdir()
    try:
        text = json.dumps(files.settings, indent=2) + "\n"
        (unfinished / format.settings).write_text(text, "utf-8")
        # Copies, for where encoder and decoder are one tensor safetensors writes neither.
        weights = {
            name: torch.empty(tensor.shape).copy_(tensor.detach())
            for name, tensor in files.weights.items()
        }
        save_file(weights, unfinished / format.weights)
        # safetensors keeps it from everybody else; what is beside it is as the user's umask says.
        (unfinished / format.weights).chmod((unfinished / format.settings).stat().st_mode)
        for name in (format.settings, format.weights):
            with open(unfinished / name, "rb+") as file:
                os.fsync(file.fileno())
        unfinished.rename(target)
    except BaseException:  # Ctrl-C too leaves nothing half-written; it goes on its way
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


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
            raise UserError(f"the SAE's {name} holds NaN or infinity; such an SAE is not written")


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError as error:
        raise UserError(f"{folder} is no folder that can be read ({error.strerror})") from None


def _missing(folder: Path, names: set[str]) -> str:
    """What to do about it: complete the half that is there, look one folder down, or know what
    is looked for."""
    for name, each in FORMATS.items():
        if each.weights in names:
            return f"beside {each.weights} ({name}) there is no {each.settings}"
    below = [name for name in sorted(names) if _holds_sae(folder / name)]
    if below:
        more = f" and {len(below) - _NAMED} more" if len(below) > _NAMED else ""
        return f"these in it do: {', '.join(below[:_NAMED])}{more}"
    wanted = (f"{each.settings} + {each.weights} ({name})" for name, each in FORMATS.items())
    return f"need {', or '.join(wanted)}"


def _holds_sae(folder: Path) -> bool:
    return any(
        os.path.lexists(folder / each.settings) and os.path.lexists(folder / each.weights)
        for each in FORMATS.values()
    )
