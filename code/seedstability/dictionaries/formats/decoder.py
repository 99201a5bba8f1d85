"""Read a decoder alone: of a checkpoint of any class, or a file with one matrix.

What a transcoder, AbsTopK, NMF, ICA or archetypes have in common with an SAE is a matrix of
directions.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.formats.folder import FORMATS
from seedstability.dictionaries.formats.weights import (
    Weights,
    read_npz,
    read_pickled,
    read_safetensors,
)
from seedstability.errors import UserError

_NAMES = ("W_dec", "w_dec", "decoder.weight", "decoder")
"""Names of a decoder in the supported formats, n × d; torch's linear layers store d × n."""
_SUFFIXES = (".npy", ".npz", ".safetensors", ".pt")


def load_decoder(path: Path | str) -> Float[Tensor, "n d"]:
    """Load the decoder directions of a checkpoint's folder, or of a file, as float32 on the CPU.

    Args:
        path: a folder with a file of weights of any supported format, whatever the class; or a
            .npy, .npz, .safetensors or .pt file with one matrix [n, d], or with several tensors of
            which one is called as a decoder is.

    Raises:
        UserError: none there, or not one matrix of finite numbers.
    """
    file = decoder_file(Path(path))
    tensors = _tensors(file)
    name = _name(file, tensors)
    values = tensors[name]
    shape = f"{str(values.dtype).removeprefix('torch.')}{list(values.shape)}"
    if values.ndim != 2 or 0 in values.shape or not values.is_floating_point():
        raise UserError(f"{file}: {name} is {shape}; a decoder is float32[latents, width]")
    rows = Weights(file, {name: values}).take(name, *values.shape)
    return rows.t().contiguous() if name.endswith(".weight") else rows


def decoder_file(path: Path) -> Path:
    """The file from which `load_decoder` reads.

    Raises:
        UserError: none there.
    """
    if path.is_dir():
        for each in FORMATS.values():
            if (path / each.weights).is_file():
                return path / each.weights
        known = ", ".join(each.weights for each in FORMATS.values())
        raise UserError(f"{path} contains no file of weights; need one of {known}")
    if not path.is_file():
        raise UserError(f"{path} is not a file or folder with a decoder")
    if path.suffix not in _SUFFIXES:
        raise UserError(f"{path} is no file of a decoder; need {', '.join(_SUFFIXES)}")
    return path


def _name(path: Path, tensors: dict[str, Tensor]) -> str:
    if len(tensors) == 1:
        return next(iter(tensors))
    for name in _NAMES:
        if name in tensors:
            return name
    held = f" ({', '.join(list(tensors)[:5])})" if tensors else ""
    raise UserError(
        f"{path} holds {len(tensors)} tensors{held}; a decoder is the only one, or is called "
        f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".npz":
        return read_npz(path).tensors
    if path.suffix == ".pt":
        return read_pickled(path)[0].tensors
    if path.suffix == ".safetensors":
        return read_safetensors(path).tensors
    try:
        values = np.load(path, allow_pickle=False)
        return {"the array": torch.from_numpy(values.astype(values.dtype.newbyteorder("=")))}
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise UserError(f"{path} cannot be read as one matrix: {error}") from None
