"""From what was measured to what `report.json` and `latents.npz` hold."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability import __version__
from seedstability.report import curves, estimates
from seedstability.report import recurrence as votes
from seedstability.report import wording as words
from seedstability.report.estimates import rounded
from seedstability.report.report import SCHEMA
from seedstability.report.subspaces import subspaces
from seedstability.similarity.activations import Activations
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.dictionaries import LoadedSAE, short_labels
from seedstability.similarity.pairs import matched_pairs
from seedstability.similarity.reconstruction import ReconstructionMetrics
from seedstability.similarity.recorder import Recorder

_PACKAGES = ("numba", "numpy", "scipy", "torch")
_METHOD = "exact, proven by prices"


@dataclass(frozen=True)
class Findings:
    """Everything that is known at the end of a comparison."""

    given: Sequence[LoadedSAE]
    """The dictionaries."""
    starts: Sequence[LoadedSAE] | None
    """The same before their first step."""
    activations: Activations | None
    """What they were measured on."""
    whole: ComparisonConfig
    """The settings as they are for 1,024 latents."""
    config: ComparisonConfig
    """Those that were used."""
    comparison: Mapping[str, Any]
    """From `measures.measure`."""
    observed: Recorder
    """What that saw on its way."""
    worths: Sequence[ReconstructionMetrics] | None
    """Reconstruction and firing."""

    @property
    def best(self) -> Float[Tensor, "S S n"]:
        """Best signed cosine of each latent of s with any of t."""
        return self.comparison["best"]


def document(found: Findings, numeric_abi: dict[str, str] | None) -> dict[str, Any]:
    """What `report.json` holds; `report.schema.json` describes it."""
    n, d = found.given[0].sae.decoder.shape
    threshold = found.config.threshold
    comparison = estimates.with_derived_levels(found.comparison, found.observed, n, threshold)
    live = [each.live for each in found.worths] if found.worths else None
    decoders = [each.sae.decoder for each in found.given]
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "software": _software(numeric_abi),
        "inputs": _inputs(found),
        "settings": asdict(found.config),
        "summary": [],
        "notes": [],
        "dictionaries": _dictionaries(found),
        "measures": estimates.measures(comparison),
        "pairs": estimates.pairs(comparison),
        "reproducibility": votes.reproducibility(found.best, found.observed, threshold, d, live),
        "subspaces": subspaces(decoders, matched_pairs(len(decoders), found.config)),
        "distribution": curves.distribution(found.best, found.observed, d),
        "firing": _firing(found),
        "matchings": _matchings(found.observed),
    }
    made["summary"] = words.summary(made, estimates.kappa_interval90(comparison, "max_cosine"))
    made["notes"] = words.notes(made, found.whole, found.config, len(found.observed.matchings))
    return made


def arrays(found: Findings) -> dict[str, np.ndarray]:
    """What `latents.npz` holds."""
    kept = found.observed.matchings
    pairs = sorted(kept)
    decoders, encoders = ([kept[pair][of] for pair in pairs] for of in (0, 1))
    proofs = [each.prices for each in decoders if each.prices is not None]
    n_seeds = len(found.given)
    made = {
        "pairs": np.array(pairs, "<i4"),
        "partner": _stack([each.partner for each in decoders], "<i4"),
        "cosine": _stack([each.cosine for each in decoders], "<f4"),
        "encoder_partner": _stack([each.partner for each in encoders], "<i4"),
        "encoder_cosine": _stack([each.cosine for each in encoders], "<f4"),
        "price_a": _stack([each.of_a for each in proofs], "<f8"),
        "price_b": _stack([each.of_b for each in proofs], "<f8"),
        "reproducibility": votes.reproducibility_per_latent(found.best, found.config.threshold)
        .numpy()
        .astype("<f4"),
        "best_cosine": votes.mean_over_others(found.best).numpy().astype("<f4"),
        "matched_cosine": _matched_cosine(found.observed, n_seeds).astype("<f4"),
    }
    if found.worths:
        made["firing"] = _stack([each.firing for each in found.worths], "<f4")
    return made


def _software(numeric_abi: dict[str, str] | None) -> dict:
    packages = {name: version(name) for name in _PACKAGES}
    return {
        "version": __version__,
        "numeric_abi": numeric_abi,
        "packages": {"python": platform.python_version(), **packages},
    }


def _inputs(found: Findings) -> dict:
    names = short_labels(found.given)
    measured = None
    if found.activations:
        rank = {
            name: value if isinstance(value, int) else rounded(value)
            for name, value in found.comparison["rank"].items()
        }
        measured = found.activations.described() | {"rank": rank}
    return {
        "dictionaries": [x.described(name) for x, name in zip(found.given, names, strict=True)],
        "activations": measured,
        "initial": [x.described(name) for x, name in zip(found.starts, names, strict=True)]
        if found.starts
        else None,
    }


def _dictionaries(found: Findings) -> list[dict]:
    moved = found.comparison.get("cosine_with_start")
    made = []
    for place in range(len(found.given)):
        worth = found.worths[place] if found.worths else None
        made.append(
            {
                "live": int(worth.live.sum()) if worth else None,
                "explained_variance": rounded(worth.explained_variance) if worth else None,
                "l0": rounded(worth.l0) if worth else None,
                "dead_fraction": rounded(worth.dead_fraction) if worth else None,
                "cosine_with_start": None if moved is None else rounded(moved[place]),
            }
        )
    return made


def _firing(found: Findings) -> dict | None:
    if not found.worths:
        return None
    frequency = torch.stack([each.firing for each in found.worths])
    return curves.firing(frequency, votes.mean_over_others(found.best))


def _matchings(observed: Recorder) -> list[dict]:
    """Totals with their bounds: these need more digits than a figure does."""
    return [
        {
            "pair": list(pair),
            "of": of,
            "total": rounded(matching.total, 12),
            "bound": rounded(matching.bound, 3),
            "method": _METHOD,
        }
        for pair, kept in sorted(observed.matchings.items())
        for of, matching in zip(("decoder", "encoder"), kept, strict=True)
    ]


def _matched_cosine(observed: Recorder, n_seeds: int) -> Float[np.ndarray, "S n"]:
    """Of each latent the mean cosine with its one-to-one partners."""
    n = len(next(iter(observed.matchings.values())).decoders.partner)
    total, pairs = np.zeros((n_seeds, n)), np.zeros((n_seeds, 1))
    for (i, j), (matching, _) in observed.matchings.items():
        cosine = matching.cosine.double().numpy()
        total[i] += cosine
        total[j, matching.partner.numpy()] += cosine
        pairs[[i, j]] += 1
    return total / pairs


def _stack(tensors: Sequence[Tensor], kind: str) -> np.ndarray:
    return np.stack([np.asarray(each) for each in tensors]).astype(kind)
