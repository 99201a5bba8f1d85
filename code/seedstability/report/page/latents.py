"""The table of latents on the page: which latents it lists, and its columns."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Arrays = Mapping[str, np.ndarray]

_MOST_COLUMNS = 8
"""Beyond so many dictionaries the table has no partners; `latents.npz` has."""
MOST_ROWS = 20_000
"""More rows would make a page of several megabytes."""


class LatentTable(NamedTuple):
    """The table of latents."""

    columns: dict[str, Any]
    """Data for the script: labels of the dictionaries, their pages elsewhere, and one list per
    column."""
    rule: str
    """Description of the choice of latents."""


class _Column(NamedTuple):
    key: str
    title: str
    digits: int
    """Decimals shown; −1 for numbers that span decades, shown with three digits."""


_MEASURED = (
    ("reproducibility", _Column("p", "p̂", 2)),
    ("best_cosine", _Column("best", "best cosine", 3)),
    ("matched_cosine", _Column("matched", "matched cosine", 3)),
    ("firing", _Column("firing", "firing", -1)),
)


def latent_table(
    names: list[str],
    arrays: Arrays,
    most: int = MOST_ROWS,
    contexts: Mapping[int, str] | None = None,
    links: list[str | None] | None = None,
) -> LatentTable:
    """Build the table: all latents, or the extremes of each dictionary if there are too many.

    Args:
        names: labels of the dictionaries.
        arrays: content of `latents.npz`.
        most: maximum number of rows.
        contexts: text around each sample that is a latent's largest.
        links: page of each dictionary on Neuronpedia, to which a latent's number is added.
    """
    best = arrays["best_cosine"]
    seeds, latents = _chosen(best, most)
    columns = [
        {"key": "seed", "title": "dictionary", "digits": 0, "values": seeds.tolist()},
        {"key": "latent", "title": "latent", "digits": 0, "values": latents.tolist()},
    ]
    for name, column in _MEASURED:
        if name in arrays:
            values = _short(arrays[name][seeds, latents], column.digits)
            columns.append({**column._asdict(), "values": values})
    shown = range(len(names)) if len(names) <= _MOST_COLUMNS else ()
    tables = _partners(arrays, *best.shape) if shown else ()
    for other in shown:
        partner, cosine = (table[seeds, other, latents] for table in tables)
        values = [None if place < 0 else place for place in partner.tolist()]
        columns.append(
            {
                "key": f"in{other}",
                "title": f"in {names[other]}",
                "digits": 0,
                "values": values,
                "cosines": _short(cosine, 2),
                "more": _nearest(arrays, seeds, other, latents),
            }
        )
    if contexts and "top_samples" in arrays:
        texts = _contexts(arrays["top_samples"][seeds, :, latents], contexts)
        columns.append({"key": "context", "title": "top contexts", "digits": 0, "values": texts})
    listed = {"names": names, "links": links or [None] * len(names), "columns": columns}
    return LatentTable(listed, _rule(best, len(seeds), most))


def _nearest(
    arrays: Arrays, seeds: np.ndarray, other: int, latents: np.ndarray
) -> list[str | None] | None:
    """The nearest latents in another dictionary and their cosines, as text."""
    if "nearest" not in arrays:
        return None
    places = {tuple(pair): place for place, pair in enumerate(arrays["nearest_pairs"].tolist())}
    found: list[str | None] = []
    for seed, latent in zip(seeds.tolist(), latents.tolist(), strict=True):
        place = places.get((seed, other))
        if place is None:
            found.append(None)
            continue
        near, cosine = (arrays[name][place, :, latent] for name in ("nearest", "nearest_cosine"))
        known = zip(near.tolist(), cosine.tolist(), strict=True)
        found.append(", ".join(f"{at} ({value:.2f})" for at, value in known if at >= 0) or None)
    return found


def _contexts(samples: np.ndarray, contexts: Mapping[int, str]) -> list[str | None]:
    texts = ([contexts[at] for at in row if at >= 0] for row in samples.tolist())
    return [" … ".join(" ".join(each.split()) for each in row) or None for row in texts]


def _chosen(best: Float[np.ndarray, "S n"], most: int) -> tuple[np.ndarray, np.ndarray]:
    # Neither a latent without a direction nor one that a smaller dictionary lacks has a cosine.
    compared = ~np.isnan(best)
    if compared.sum() > most:
        half = most // (2 * len(best))
        for there, cosine in zip(compared, best, strict=True):
            order = np.flatnonzero(there)[np.argsort(cosine[there], kind="stable")]
            there[order[half : max(half, len(order) - half)]] = False
    seeds, latents = np.nonzero(compared)
    return seeds, latents


def _rule(best: Float[np.ndarray, "S n"], shown: int, most: int) -> str:
    compared = int((~np.isnan(best)).sum())
    if shown == compared:
        return f"All {shown:,} latents of the {len(best)} dictionaries."
    half = most // (2 * len(best))
    return (
        f"{shown:,} of {compared:,} latents: of each dictionary the {half:,} with the highest"
        f" and the {half:,} with the lowest best cosine. latents.npz in the same folder has all."
    )


def _partners(arrays: Arrays, n_seeds: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """One-to-one partner of each latent in each other dictionary [S, S, n], and its cosine."""
    latents = np.full((n_seeds, n_seeds, n), -1, np.int64)
    cosines = np.full((n_seeds, n_seeds, n), np.nan)
    for (i, j), partner, cosine in zip(
        arrays["pairs"].tolist(), arrays["partner"], arrays["cosine"], strict=True
    ):
        matched = np.flatnonzero(partner >= 0)
        theirs = partner[matched]
        latents[i, j, matched], cosines[i, j, matched] = theirs, cosine[matched]
        latents[j, i, theirs], cosines[j, i, theirs] = matched, cosine[matched]
    return latents, cosines


def _short(values: Float[np.ndarray, " rows"], digits: int) -> list[float | None]:
    """Round to the useful digits, to keep the page small."""
    if digits < 0:
        return [float(f"{x:.3g}") if np.isfinite(x) else None for x in values.tolist()]
    # One more than shown, so that sorting separates values that look equal.
    short = np.round(values.astype(np.float64), digits + 1) + 0.0
    return [x if np.isfinite(x) else None for x in short.tolist()]
