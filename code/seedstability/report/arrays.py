"""The arrays of a report, `latents.npz`: one row per dictionary or pair, one column per latent.

Columns are latents as their checkpoints number them. A latent without a direction, and one that a
smaller dictionary does not have, has partner −1 and NaN.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from seedstability.report.findings import Findings
from seedstability.report.recurrence import mean_over_others, reproducibility_per_latent
from seedstability.similarity.measures import Pair
from seedstability.stability.matching.nearest import nearest_rows

NEAREST = 3
"""Nearest latents that are listed, beside the one-to-one partner."""
CONTEXTS = 3
"""Samples that are listed for each latent where tokens are given."""
_MOST_NEAREST = 1 << 25
"""Indices of all pairs together: 128 MB. With more, nearest latents are left out."""


def arrays(findings: Findings) -> dict[str, np.ndarray]:
    """Content of `latents.npz`."""
    kept = findings.recorder.matchings
    pairs = sorted(kept)
    latents = _Latents(findings)
    found: dict[str, list[np.ndarray]] = {}
    for i, j in pairs:
        for before, matching in kept[i, j].named():
            partner = latents.partners(i, j, matching.partner)
            found.setdefault(f"{before}partner", []).append(partner)
            found.setdefault(f"{before}cosine", []).append(latents.row(i, matching.cosine))
        prices = kept[i, j].decoders.prices
        if prices is not None:
            found.setdefault("price_a", []).append(latents.row(i, prices.of_a))
            found.setdefault("price_b", []).append(latents.row(j, prices.of_b))
    p = reproducibility_per_latent(findings.best, findings.config.threshold)
    result = {
        "pairs": np.array(pairs, "<i4"),
        **{
            name: np.stack(rows).astype(_KINDS.get(name.removeprefix("encoder_"), "<f4"))
            for name, rows in found.items()
        },
        "reproducibility": latents.rows(p.numpy()),
        "best_cosine": latents.rows(mean_over_others(findings.best).numpy()),
        "matched_cosine": latents.rows(_matched_cosine(findings)),
    }
    if findings.firing:
        firing = np.full((len(findings.firing), latents.most), np.nan)
        for row, rates in zip(firing, findings.firing, strict=True):
            row[: len(rates)] = rates
        result["firing"] = firing.astype("<f4")
    return result | _nearest(findings, latents, pairs) | _contexts(findings, latents.most)


def _nearest(findings: Findings, latents: "_Latents", pairs: Sequence[Pair]) -> dict:
    """The nearest latents in other dictionaries, in both directions of each matched pair."""
    sizes = findings.sizes
    if NEAREST * sum(sizes[i] + sizes[j] for i, j in pairs) > _MOST_NEAREST:
        return {}
    decoders = [each.weights.decoder for each in findings.trained]
    directed = sorted([*pairs, *((j, i) for i, j in pairs)])
    rows, cosines = [], []
    for i, j in directed:
        found = nearest_rows(decoders[i], decoders[j], NEAREST)
        near, cosine = (each.T for each in found)
        # A dictionary of one or two latents has no three nearest.
        missing = NEAREST - len(near)
        none = np.full(latents.most, -1), np.full(latents.most, np.nan)
        rows.append([*(latents.partners(i, j, each) for each in near), *[none[0]] * missing])
        cosines.append([*(latents.row(i, each) for each in cosine), *[none[1]] * missing])
    return {
        "nearest_pairs": np.array(directed, "<i4"),
        "nearest": np.array(rows, "<i4"),
        "nearest_cosine": np.array(cosines, "<f4"),
    }


def _contexts(findings: Findings, most: int) -> dict:
    """Numbers of the samples in which each latent is largest, and its values there."""
    found = [each.strongest for each in findings.metrics or () if each.strongest]
    if not found:
        return {}
    samples = np.full((len(found), CONTEXTS, most), -1)
    values = np.full((len(found), CONTEXTS, most), np.nan)
    for place, each in enumerate(found):
        n = each.samples.shape[1]
        samples[place, :, :n], values[place, :, :n] = each.samples, each.values
    return {"top_samples": samples.astype("<i4"), "top_values": values.astype("<f4")}


_KINDS = {"partner": "<i4", "price_a": "<f8", "price_b": "<f8"}
"""Types other than single precision."""


class _Latents:
    """Puts values of compared latents into the columns of their checkpoints' numbers."""

    def __init__(self, findings: Findings):
        self.numbers = [each.directed.numpy() for each in findings.trained]
        self.most = max(len(each.decoder) for each in findings.trained)

    def row(self, seed: int, values: Shaped[Tensor, " kept"]) -> Float[np.ndarray, " n"]:
        """Values of one dictionary's compared latents; elsewhere NaN."""
        found = np.full(self.most, np.nan)
        found[self.numbers[seed]] = values
        return found

    def rows(self, values: Float[np.ndarray, "S kept"]) -> Float[np.ndarray, "S n"]:
        """Values of all dictionaries, of which smaller ones use the first columns."""
        found = np.full((len(values), self.most), np.nan)
        for row, numbers, given in zip(found, self.numbers, values, strict=True):
            row[numbers] = given[: len(numbers)]
        return found.astype("<f4")

    def partners(self, i: int, j: int, partner: Shaped[Tensor, " kept"]) -> np.ndarray:
        """Number of the partner in dictionary j of each latent of i; −1 for none."""
        found = np.full(self.most, -1)
        theirs = self.numbers[j][partner.numpy()]  # −1 picks some latent, replaced next
        found[self.numbers[i]] = np.where(partner.numpy() >= 0, theirs, -1)
        return found


def _matched_cosine(findings: Findings) -> Float[np.ndarray, "S kept"]:
    """Mean cosine of each compared latent with its one-to-one partners."""
    shape = findings.best.shape[0], findings.best.shape[2]
    total, pairs = np.zeros(shape), np.zeros(shape)
    for (i, j), found in findings.recorder.matchings.items():
        matching = found.decoders
        mine = np.flatnonzero(matching.partner >= 0)
        theirs = matching.partner.numpy()[mine]
        cosine = matching.cosine.double().numpy()[mine]
        for seed, places in ((i, mine), (j, theirs)):
            total[seed, places] += cosine
            pairs[seed, places] += 1
    return np.divide(total, pairs, out=np.full(shape, np.nan), where=pairs > 0)
