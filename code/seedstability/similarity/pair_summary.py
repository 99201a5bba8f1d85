"""Two dictionaries matched one to one, in a few figures: what `seedstability match` prints."""

from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.formats.decoder import load_decoder
from seedstability.dictionaries.formats.folder import is_sae, load
from seedstability.errors import UserError
from seedstability.similarity.dictionaries.loaded import has_direction
from seedstability.stability.chance.closed_form import chance_level
from seedstability.stability.matching.match import Matching, agreement, match


class Directions(NamedTuple):
    """What of a dictionary is matched: one row a latent."""

    decoder: Float[Tensor, "n d"]
    """Directions written."""
    encoder: Float[Tensor, "n d"] | None
    """Directions read; `None` where only a decoder was given."""


def read_directions(path: Path) -> Directions:
    """The directions of an SAE's folder or file, or of a file with one matrix.

    Raises:
        UserError: for a folder without an SAE, and a file that is no matrix of finite numbers.
    """
    if path.is_file() and not is_sae(path):
        return Directions(load_decoder(path), None)
    sae = load(path)
    return Directions(sae.decoder, sae.encoder)


def pair_summary(A: Directions, B: Directions, threshold: float = 0.7) -> dict[str, Any]:
    """Match two dictionaries and sum up the assignment; shares count A's latents.

    Args:
        A: one dictionary.
        B: the other; it may have another number of latents.
        threshold: cosine above which two latents are the same.

    Returns:
        JSON types only. Latents without a direction are left out and counted. `bound` certifies the
        assignment: no other has a total larger by more. `shared` and `agreeing` are `None` without
        encoders. `chance` is the mean best cosine of unrelated latents, which no one-to-one
        matching of unrelated latents exceeds.

    Raises:
        UserError: for dictionaries of different width, or a threshold outside (0, 1).
    """
    if not 0.0 < threshold < 1.0:
        raise UserError(f"threshold is {threshold:g}; it must lie between 0 and 1")
    (n_a, width), n_b = A.decoder.shape, len(B.decoder)
    A, B = _with_direction(A), _with_direction(B)
    decoders = match(A.decoder, B.decoder)
    matched = decoders.matched_cosines.double()
    return {
        "latents": [n_a, n_b],
        "without_direction": [n_a - len(A.decoder), n_b - len(B.decoder)],
        "width": width,
        "matched_mean": matched.mean().item(),
        "matched_median": matched.quantile(0.5).item(),
        "threshold": threshold,
        "shared_decoder_only": _share(decoders.cosine > threshold),
        **_shares_of_both(A, B, decoders, threshold),
        "total": decoders.total,
        "bound": decoders.bound,
        "chance": chance_level(len(B.decoder), width, "max_cosine") if width > 1 else None,
    }


def _with_direction(given: Directions) -> Directions:
    rows = has_direction(given.decoder)
    if given.encoder is not None:
        rows &= has_direction(given.encoder)
    if not rows.any():
        raise UserError("no latent of a dictionary has a direction; there is nothing to match")
    return Directions(given.decoder[rows], None if given.encoder is None else given.encoder[rows])


def _shares_of_both(
    A: Directions, B: Directions, decoders: Matching, threshold: float
) -> dict[str, float | None]:
    """Shares on which the assignments of decoders and of encoders agree."""
    if A.encoder is None or B.encoder is None:
        return {"shared": None, "agreeing": None}
    both = agreement(decoders, match(A.encoder, B.encoder, certify=False), threshold)
    return {"shared": _share(both.shared), "agreeing": _share(both.agreeing)}


def _share(marked: Tensor) -> float:
    return marked.double().mean().item()
