"""Read and check the SAEs to compare, given as folders or in memory."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from seedstability.dictionaries.formats.folder import load, recognize
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.similarity.pairs import Weights
from seedstability.similarity.stated import (
    Difference,
    Stated,
    differences,
    listed,
    seed_of,
    stated_in,
)

SAESource = str | Path | SAE

_MAX_LABEL_LENGTH = 12
_BYTES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class LoadedSAE:
    """An SAE with its source."""

    sae: SAE
    """Its weights."""
    folder: str
    """Folder as given; in memory `SAE 0`, `SAE 1`, …"""
    format: str
    """Checkpoint format, or `memory`."""
    files: dict[str, str]
    """sha256 of each file, or of each tensor."""
    stated: Stated = field(default_factory=dict)
    """Settings that the checkpoint states, or those of the SAE in memory."""

    @cached_property
    def directed(self) -> Int[Tensor, " kept"]:
        """Indices of the latents whose decoder and encoder rows both have a direction."""
        both = has_direction(self.sae.decoder) & has_direction(self.sae.encoder)
        return both.nonzero().flatten()

    @property
    def weights(self) -> Weights:
        """The weights to compare: those of latents with a direction."""
        return Weights(self.compared(self.sae.decoder), self.compared(self.sae.encoder))

    def compared(self, rows: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "kept ..."]:
        """Rows of the latents with a direction; no copy where all have one."""
        return rows if len(self.directed) == len(rows) else rows[self.directed]

    def report_entry(self, name: str) -> dict:
        """Entry in the report's inputs, under this label."""
        n, d = self.sae.decoder.shape
        return {
            "name": name,
            "folder": self.folder,
            "format": self.format,
            "architecture": self.sae.config.architecture,
            "n_latents": n,
            "d": d,
            "seed": seed_of(self.stated),
            "files": self.files,
        }


def has_direction(rows: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    """Mask of the rows that are longer than 1e-8 of the longest: shorter ones are zero to
    rounding."""
    length = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return length > 1e-8 * length.max()


def read_dictionaries(given: Iterable[SAESource], allow_different: bool = False) -> list[LoadedSAE]:
    """Read SAEs, all of one width and no two equal.

    Args:
        given: folders or SAEs.
        allow_different: whether they may differ in more than the seed.

    Raises:
        UserError: for fewer than two, a folder without an SAE or with a damaged one, an SAE that is
            given twice, one without directions, SAEs of different widths, and unless allowed of
            different settings or numbers of latents.
    """
    if isinstance(given, str | Path):
        raise UserError(f"{str(given)!r} is given alone; give two or more folders, in a list")
    given = list(given)
    if len(given) < 2:
        named = f" ({_named(given[0], 0)})" if given else ""
        raise UserError(
            f"{len(given)} dictionaries{named} given; a comparison needs at least 2 folders"
        )
    _refuse_same_place(given)
    inputs = [_read(each, place) for place, each in enumerate(given)]
    for each in inputs:
        _refuse_other_width(each, inputs[0])
        _refuse_without_directions(each)
    _refuse_same_weights(inputs)
    if not allow_different:
        _refuse_other_settings(inputs)
    return inputs


def what_differs(inputs: Sequence[LoadedSAE]) -> list[Difference]:
    """Settings besides the seed in which SAEs differ: those that they state, or else how they are
    read, for checkpoints of two libraries and for those that state nothing."""
    configs = [each.sae.config for each in inputs]
    return (
        differences([each.stated for each in inputs])
        or differences([{"architecture": each.architecture} for each in configs])
        or differences([{"k": each.k} for each in configs])
        or differences([{"latents": len(each.sae.decoder)} for each in inputs])
    )


def read_initial_dictionaries(
    given: Sequence[SAESource], trained: Sequence[LoadedSAE]
) -> list[LoadedSAE]:
    """Read the SAEs at initialization, in the order of `trained`.

    They may be equal, as with a shared initialization.

    Raises:
        UserError: for a different number of SAEs, other shapes, or a folder without an SAE.
    """
    if len(given) != len(trained):
        raise UserError(
            f"{len(given)} initial dictionaries given for {len(trained)}; "
            "give one for each, in the same order"
        )
    inputs = [_read(each, place) for place, each in enumerate(given)]
    for each, its_trained in zip(inputs, trained, strict=True):
        _refuse_other_shape(each, its_trained)
    return inputs


def initial_decoders(
    initial: Sequence[LoadedSAE], trained: Sequence[LoadedSAE]
) -> list[Float[Tensor, "kept d"]]:
    """Decoder rows at initialization of the latents that are compared."""
    return [each.compared(start.sae.decoder) for start, each in zip(initial, trained, strict=True)]


def short_labels(inputs: Sequence[LoadedSAE]) -> list[str]:
    """Folder names, or else the part of their paths that differs, or else the seeds that they
    state; `SAE 0`, `SAE 1`, … without any of these, and for SAEs in memory."""
    if all(each.format != "memory" for each in inputs):
        names = [re.sub(r"[_\s]+", " ", Path(each.folder).name) for each in inputs]
        for labels in (names, _differing_parts([each.folder for each in inputs])):
            if len({*labels}) == len(labels) and all(
                0 < len(x) <= _MAX_LABEL_LENGTH for x in labels
            ):
                return labels
        seeds = [seed_of(each.stated) for each in inputs]
        if None not in seeds and len({*seeds}) == len(seeds):
            return [f"seed {seed}" for seed in seeds]
    return [f"SAE {place}" for place in range(len(inputs))]


def _differing_parts(folders: Sequence[str]) -> list[str]:
    """The words of each path between those that all begin and those that all end with."""
    words = [re.split(r"[/_\s-]+", folder.strip("/")) for folder in folders]
    first, last = _in_common(words), _in_common([list(reversed(each)) for each in words])
    parts = [each[first : len(each) - last] for each in words]
    if first and any(part and part[0][0].isdigit() for part in parts):
        parts = [[words[0][first - 1], *part] for part in parts]  # of `seed_7` the whole
    return [" ".join(part) for part in parts]


def _in_common(words: Sequence[Sequence[str]]) -> int:
    """Number of words with which all begin."""
    return next(
        (k for k, column in enumerate(zip(*words, strict=False)) if len({*column}) > 1),
        min(map(len, words)),
    )


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BYTES_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def _read(given: SAESource, place: int) -> LoadedSAE:
    if isinstance(given, SAE):
        given = _plain(given)
        files = {name: _digest(part) for name, part in given.parts().items()}
        loaded = LoadedSAE(given, _named(given, place), "memory", files, asdict(given.config))
    else:
        found = recognize(Path(given))
        sae = load(Path(given))
        files = {path.name: sha256(path) for path in found.files}
        loaded = LoadedSAE(sae, str(given), found.format, files, stated_in(found.files))
    _refuse_width_one(loaded)
    return loaded


def _plain(sae: SAE) -> SAE:
    """The same weights as float32 tensors on the CPU, without gradients; arrays too."""
    parts = {name: torch.as_tensor(part) for name, part in sae.parts().items()}
    plain = {name: part.detach().to("cpu", torch.float32) for name, part in parts.items()}
    return SAE(**plain, config=sae.config)


def _digest(values: Tensor) -> str:
    flat = values.detach().cpu().contiguous().float().numpy()
    return hashlib.sha256(flat.data).hexdigest()


def _named(given: SAESource, place: int) -> str:
    return f"SAE {place}" if isinstance(given, SAE) else str(given)


def _refuse_same_place(given: Sequence[SAESource]) -> None:
    for (i, one), (j, other) in combinations(enumerate(given), 2):
        if isinstance(one, SAE) or isinstance(other, SAE):
            same = one is other
        else:
            same = Path(one).resolve() == Path(other).resolve()
        if same:
            raise UserError(
                f"{_named(other, j)} is the same dictionary as {_named(one, i)}; "
                "give each once: a comparison with itself says nothing about seeds"
            )


def _refuse_other_width(one: LoadedSAE, first: LoadedSAE) -> None:
    (_, its_d), (_, d) = one.sae.decoder.shape, first.sae.decoder.shape
    if its_d != d:
        raise UserError(
            f"{one.folder} has latents of width {its_d}, {first.folder} of width {d}; all must have"
            " the same"
        )


def _refuse_other_shape(initial: LoadedSAE, trained: LoadedSAE) -> None:
    (its_n, its_d), (n, d) = initial.sae.decoder.shape, trained.sae.decoder.shape
    if (its_n, its_d) != (n, d):
        raise UserError(
            f"{initial.folder} has {its_n} latents of width {its_d}, {trained.folder} {n} of width "
            f"{d}; both must have the same"
        )


def _refuse_without_directions(loaded: LoadedSAE) -> None:
    if not len(loaded.directed):
        raise UserError(
            f"no latent of {loaded.folder} has both a decoder and an encoder row other than zero;"
            " there is nothing to compare"
        )


def _refuse_same_weights(inputs: Sequence[LoadedSAE]) -> None:
    for one, other in combinations(inputs, 2):
        if all(map(_equal, one.sae.parts().values(), other.sae.parts().values())):
            raise UserError(
                f"{other.folder} has the same weights as {one.folder}; "
                "give dictionaries of different seeds"
            )


def _refuse_other_settings(inputs: Sequence[LoadedSAE]) -> None:
    if found := what_differs(inputs):
        raise UserError(
            f"the dictionaries differ in more than the seed: {listed(found)}; to compare them as "
            "configurations, say --allow-different (allow_different=True)"
        )


def _equal(one: Tensor, other: Tensor) -> bool:
    # The first rows nearly always differ, which saves comparing the rest.
    return torch.equal(one[:64], other[:64]) and torch.equal(one, other)


def _refuse_width_one(loaded: LoadedSAE) -> None:
    n, d = loaded.sae.decoder.shape
    if n < 1 or d < 2:
        raise UserError(
            f"{loaded.folder} has {n} latents of width {d}; directions need a width of at least 2"
        )
