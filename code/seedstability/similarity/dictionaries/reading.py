"""Read and check the dictionaries to compare, given as folders or in memory."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.formats.decoder import decoder_file, load_decoder
from seedstability.dictionaries.formats.folder import is_sae, load, recognize
from seedstability.dictionaries.formats.saelens import stated_firing
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.similarity.dictionaries.loaded import LoadedDictionary
from seedstability.similarity.dictionaries.refusals import (
    Source,
    name_of,
    refuse_other_settings,
    refuse_other_shape,
    refuse_other_width,
    refuse_same_place,
    refuse_same_weights,
    refuse_width_one,
    refuse_without_directions,
)
from seedstability.similarity.dictionaries.stated import stated_in

_BYTES_AT_ONCE = 1 << 22


def read_dictionaries(
    given: Iterable[Source],
    *,
    allow_different: bool = False,
    first_group: int | None = None,
    decoders_only: bool = False,
    mean_norm: Callable[[int], float] | None = None,
) -> list[LoadedDictionary]:
    """Read dictionaries, all of one width and no two equal.

    Args:
        given: folders or files, SAEs, or with `decoders_only` matrices.
        allow_different: whether they may differ in more than the seed.
        first_group: how many of them are one group, and the rest another; settings may differ
            between the two.
        decoders_only: read no more than the decoder of each.
        mean_norm: mean norm of the activations, given their width, for SAEs that need it.

    Raises:
        UserError: for fewer than two, a folder without an SAE or with a damaged one, one that is
            given twice, one without directions, dictionaries of different widths, and unless
            allowed of different settings or numbers of latents.
    """
    given = listed(given)
    if len(given) < 2:
        named = f" ({name_of(given[0], 0)})" if given else ""
        raise UserError(
            f"{len(given)} dictionaries{named} given; a comparison needs at least 2 folders"
        )
    if first_group is not None and min(first_group, len(given) - first_group) < 2:
        raise UserError("each of two groups needs at least 2 dictionaries")
    refuse_same_place(given)
    inputs = [_read(each, place, decoders_only, mean_norm) for place, each in enumerate(given)]
    for each in inputs:
        refuse_other_width(each, inputs[0])
        refuse_without_directions(each)
    refuse_same_weights(inputs)
    if not allow_different:
        for group in (inputs[:first_group], inputs[first_group:] if first_group else []):
            refuse_other_settings(group)
    return inputs


def listed(given: Iterable[Source]) -> list[Source]:
    """Sources as a list.

    Raises:
        UserError: one alone, which as text would be taken apart.
    """
    if isinstance(given, str | Path):
        raise UserError(f"{str(given)!r} is given alone; give two or more folders, in a list")
    return list(given)


def read_initial_dictionaries(
    given: Sequence[Source], trained: Sequence[LoadedDictionary], decoders_only: bool = False
) -> list[LoadedDictionary]:
    """Read the dictionaries at initialization, in the order of `trained`.

    They may be equal, as with a shared initialization.

    Raises:
        UserError: for a different number of SAEs, other shapes, or a folder without an SAE.
    """
    if len(given) != len(trained):
        raise UserError(
            f"{len(given)} initial dictionaries given for {len(trained)}; "
            "give one for each, in the same order"
        )
    inputs = [_read(each, place, decoders_only) for place, each in enumerate(given)]
    for each, its_trained in zip(inputs, trained, strict=True):
        refuse_other_shape(each, its_trained)
    return inputs


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BYTES_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def _read(
    given: Source,
    place: int,
    decoders_only: bool = False,
    mean_norm: Callable[[int], float] | None = None,
) -> LoadedDictionary:
    if isinstance(given, SAE):
        loaded = _in_memory(given, name_of(given, place))
    elif isinstance(given, str | Path):
        loaded = _decoder(Path(given)) if decoders_only else _sae(Path(given), mean_norm)
    elif decoders_only and isinstance(given, Tensor | np.ndarray):
        loaded = _matrix(torch.as_tensor(given), name_of(given, place))
    else:
        raise UserError(
            f"dictionary {place} is of type {type(given).__name__}; give a folder or an SAE, or"
            " with decoders_only=True a matrix [n, d]"
        )
    if decoders_only:
        loaded = replace(loaded, encoder=None, sae=None)
    refuse_width_one(loaded)
    return loaded


def _in_memory(given: SAE, name: str) -> LoadedDictionary:
    sae = _plain(given)
    files = {name: _digest(part) for name, part in sae.parts().items()}
    return LoadedDictionary(
        sae.decoder, sae.encoder, sae, name, "memory", files, asdict(sae.config)
    )


def _sae(path: Path, mean_norm: Callable[[int], float] | None) -> LoadedDictionary:
    found = recognize(path)
    measured: list[float] = []

    def measure(d: int) -> float:
        assert mean_norm is not None  # only called then
        measured.append(mean_norm(d))
        return measured[-1]

    sae = load(path, measure if mean_norm else None)
    files = {file.name: sha256(file) for file in found.files}
    stated = stated_in(found.files) | found.stated_by_path()
    norm = measured[0] if measured else None
    firing = stated_firing(found.files[0].parent, len(sae.decoder))
    return LoadedDictionary(
        sae.decoder, sae.encoder, sae, str(path), found.format, files, stated, norm, firing
    )


def _decoder(path: Path) -> LoadedDictionary:
    """The decoder of a checkpoint of any class, with the settings that it states, or of a file."""
    decoder = load_decoder(path)
    if not is_sae(path):
        file = decoder_file(path)
        hashes = {file.name: sha256(file)}
        return LoadedDictionary(decoder, None, None, str(path), "decoder", hashes)
    found = recognize(path)
    hashes = {file.name: sha256(file) for file in found.files}
    stated = stated_in(found.files) | found.stated_by_path()
    return LoadedDictionary(decoder, None, None, str(path), found.format, hashes, stated)


def _matrix(given: Float[Tensor, "n d"], name: str) -> LoadedDictionary:
    if given.ndim != 2 or not given.is_floating_point():
        shape = f"{str(given.dtype).removeprefix('torch.')}{list(given.shape)}"
        raise UserError(
            f"{name} is {shape}; a decoder is a matrix [n, d] of floating-point numbers"
        )
    decoder = given.detach().to("cpu", torch.float32).contiguous()
    if not decoder.isfinite().all():
        raise UserError(f"{name} holds NaN or infinity; every entry must be a number")
    return LoadedDictionary(decoder, None, None, name, "memory", {"decoder": _digest(decoder)})


def _plain(sae: SAE) -> SAE:
    """The same weights as float32 tensors on the CPU, without gradients; arrays too."""
    parts = {name: torch.as_tensor(part) for name, part in sae.parts().items()}
    plain: dict[str, Any] = {
        name: part.detach().to("cpu", torch.float32) for name, part in parts.items()
    }
    return replace(sae, **plain)


def _digest(values: Tensor) -> str:
    flat = values.detach().cpu().contiguous().float().numpy()
    return hashlib.sha256(flat.data).hexdigest()
