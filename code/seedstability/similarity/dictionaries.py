"""Read and check the dictionaries to compare, given as folders or in memory."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from seedstability.dictionaries.formats.decoder import decoder_file, load_decoder
from seedstability.dictionaries.formats.folder import is_sae, load, recognize
from seedstability.dictionaries.formats.saelens import stated_firing
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.similarity.pairs import Weights
from seedstability.similarity.stated import (
    Difference,
    Stated,
    differences,
    listed,
    neuronpedia_of,
    seed_of,
    stated_in,
)

Source = str | Path | SAE | Tensor | np.ndarray
"""A folder or file, an SAE in memory, or there a decoder [n, d]."""

_BYTES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class LoadedDictionary:
    """A dictionary with its source."""

    decoder: Float[Tensor, "n d"]
    """Directions that latents write."""
    encoder: Float[Tensor, "n d"] | None
    """Directions that latents read; `None` where only the decoder is compared."""
    sae: SAE | None
    """The SAE; `None` where only the decoder was read."""
    folder: str
    """Folder or file as given; in memory `SAE 0`, `SAE 1`, …"""
    format: str
    """Checkpoint format, `decoder` of a file with a matrix, or `memory`."""
    files: dict[str, str]
    """sha256 of each file, or of each tensor."""
    stated: Stated = field(default_factory=dict)
    """Settings that the checkpoint states, or those of the SAE in memory."""
    mean_norm: float | None = None
    """Mean norm of the activations, where the SAE had to be scaled by it."""
    firing: Float[Tensor, " n"] | None = None
    """Firing rate of each latent that the checkpoint states."""

    @cached_property
    def directed(self) -> Int[Tensor, " kept"]:
        """Indices of the latents whose decoder and encoder rows both have a direction."""
        both = has_direction(self.decoder)
        if self.encoder is not None:
            both &= has_direction(self.encoder)
        return both.nonzero().flatten()

    @property
    def weights(self) -> Weights:
        """The weights to compare: those of latents with a direction."""
        encoder = None if self.encoder is None else self.compared(self.encoder)
        return Weights(self.compared(self.decoder), encoder)

    def compared(self, rows: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "kept ..."]:
        """Rows of the latents with a direction; no copy where all have one."""
        return rows if len(self.directed) == len(rows) else rows[self.directed]

    def report_entry(self, name: str) -> dict:
        """Entry in the report's inputs, under this label."""
        n, d = self.decoder.shape
        return {
            "name": name,
            "folder": self.folder,
            "format": self.format,
            "architecture": self.sae.config.architecture if self.sae else None,
            "n_latents": n,
            "d": d,
            "seed": seed_of(self.stated),
            "mean_norm": self.mean_norm,
            "neuronpedia": neuronpedia_of(self.stated),
            "files": self.files,
        }


def has_direction(rows: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    """Mask of the rows that are longer than 1e-8 of the longest: shorter ones are zero to
    rounding."""
    length = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return length > 1e-8 * length.max()


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
    if isinstance(given, str | Path):
        raise UserError(f"{str(given)!r} is given alone; give two or more folders, in a list")
    given = list(given)
    if len(given) < 2:
        named = f" ({_named(given[0], 0)})" if given else ""
        raise UserError(
            f"{len(given)} dictionaries{named} given; a comparison needs at least 2 folders"
        )
    if first_group is not None and min(first_group, len(given) - first_group) < 2:
        raise UserError("each of two groups needs at least 2 dictionaries")
    _refuse_same_place(given)
    inputs = [_read(each, place, decoders_only, mean_norm) for place, each in enumerate(given)]
    for each in inputs:
        _refuse_other_width(each, inputs[0])
        _refuse_without_directions(each)
    _refuse_same_weights(inputs)
    if not allow_different:
        for group in (inputs[:first_group], inputs[first_group:] if first_group else []):
            _refuse_other_settings(group)
    return inputs


def stated_rates(inputs: Sequence[LoadedDictionary]) -> list[Float[Tensor, " n"]] | None:
    """Firing rates that the checkpoints state, if all do."""
    rates = [each.firing for each in inputs if each.firing is not None]
    return rates if len(rates) == len(inputs) else None


def what_differs(inputs: Sequence[LoadedDictionary]) -> list[Difference]:
    """Settings besides the seed in which SAEs differ: those that they state, or else how they are
    read, for checkpoints of two libraries and for those that state nothing."""
    configs = [each.sae.config for each in inputs if each.sae]
    return (
        differences([each.stated for each in inputs])
        or differences([{"architecture": each.architecture} for each in configs])
        or differences([{"k": each.k} for each in configs])
        or differences([{"latents": len(each.decoder)} for each in inputs])
    )


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
        _refuse_other_shape(each, its_trained)
    return inputs


def initial_decoders(
    initial: Sequence[LoadedDictionary], trained: Sequence[LoadedDictionary]
) -> list[Float[Tensor, "kept d"]]:
    """Decoder rows at initialization of the latents that are compared."""
    return [each.compared(start.decoder) for start, each in zip(initial, trained, strict=True)]


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
        loaded = _in_memory(given, _named(given, place))
    elif isinstance(given, str | Path):
        loaded = _decoder(Path(given)) if decoders_only else _sae(Path(given), mean_norm)
    elif decoders_only and isinstance(given, Tensor | np.ndarray):
        loaded = _matrix(torch.as_tensor(given), _named(given, place))
    else:
        raise UserError(
            f"dictionary {place} is of type {type(given).__name__}; give a folder or an SAE, or"
            " with decoders_only=True a matrix [n, d]"
        )
    if decoders_only:
        loaded = replace(loaded, encoder=None, sae=None)
    _refuse_width_one(loaded)
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


def _named(given: Source, place: int) -> str:
    return str(given) if isinstance(given, str | Path) else f"SAE {place}"


def _refuse_same_place(given: Sequence[Source]) -> None:
    for (i, one), (j, other) in combinations(enumerate(given), 2):
        if isinstance(one, str | Path) and isinstance(other, str | Path):
            same = Path(one).resolve() == Path(other).resolve()
        else:
            same = one is other
        if same:
            raise UserError(
                f"{_named(other, j)} is the same dictionary as {_named(one, i)}; "
                "give each once: a comparison with itself says nothing about seeds"
            )


def _refuse_other_width(one: LoadedDictionary, first: LoadedDictionary) -> None:
    (_, its_d), (_, d) = one.decoder.shape, first.decoder.shape
    if its_d != d:
        raise UserError(
            f"{one.folder} has latents of width {its_d}, {first.folder} of width {d}; all must have"
            " the same"
        )


def _refuse_other_shape(initial: LoadedDictionary, trained: LoadedDictionary) -> None:
    (its_n, its_d), (n, d) = initial.decoder.shape, trained.decoder.shape
    if (its_n, its_d) != (n, d):
        raise UserError(
            f"{initial.folder} has {its_n} latents of width {its_d}, {trained.folder} {n} of width "
            f"{d}; both must have the same"
        )


def _refuse_without_directions(loaded: LoadedDictionary) -> None:
    if not len(loaded.directed):
        raise UserError(
            f"no latent of {loaded.folder} has a decoder and an encoder row other than zero;"
            " there is nothing to compare"
        )


def _refuse_same_weights(inputs: Sequence[LoadedDictionary]) -> None:
    for one, other in combinations(inputs, 2):
        if all(map(_equal, _tensors(one), _tensors(other))):
            raise UserError(
                f"{other.folder} has the same weights as {one.folder}; "
                "give dictionaries of different seeds"
            )


def _refuse_other_settings(inputs: Sequence[LoadedDictionary]) -> None:
    if found := what_differs(inputs):
        raise UserError(
            f"the dictionaries differ in more than the seed: {listed(found)}; to compare them as "
            "configurations, say --allow-different (allow_different=True), and two groups of seeds "
            "with --against (against=)"
        )


def _tensors(loaded: LoadedDictionary) -> list[Tensor]:
    return [*loaded.sae.parts().values()] if loaded.sae else [loaded.decoder]


def _equal(one: Tensor, other: Tensor) -> bool:
    # The first rows nearly always differ, which saves comparing the rest.
    return torch.equal(one[:64], other[:64]) and torch.equal(one, other)


def _refuse_width_one(loaded: LoadedDictionary) -> None:
    n, d = loaded.decoder.shape
    if n < 1 or d < 2:
        raise UserError(
            f"{loaded.folder} has {n} latents of width {d}; directions need a width of at least 2"
        )
