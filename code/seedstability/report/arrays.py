"""The arrays of a report, `latents.npz`: one row per dictionary or pair, one column per latent.

Columns are latents as their checkpoints number them. A latent without a direction, and one that a
smaller dictionary does not have, has partner −1 and NaN.
"""

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from seedstability.report.findings import Findings
from seedstability.report.recurrence import mean_over_others, reproducibility_per_latent


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
    return result


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
