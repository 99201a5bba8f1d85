"""Content of `report.json` and `latents.npz` from the findings of a comparison."""

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
from seedstability.report import curves, estimates, recurrence, wording
from seedstability.report.estimates import rounded
from seedstability.report.report import SCHEMA
from seedstability.report.subspaces import subspaces
from seedstability.similarity.comparison import Comparison
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.dictionaries import LoadedSAE, short_labels, what_differs
from seedstability.similarity.pairs import Statistics, matched_pairs
from seedstability.similarity.recorder import Recorder
from seedstability.similarity.samples.outliers import TIMES_THE_MEDIAN
from seedstability.similarity.samples.reconstruction import ReconstructionMetrics
from seedstability.similarity.samples.sampled import Sampled

_PACKAGES = ("numba", "numpy", "scipy", "torch")
_METHOD = "exact, certified by dual prices"


@dataclass(frozen=True)
class Findings:
    """Inputs and results of a comparison."""

    trained: Sequence[LoadedSAE]
    """The SAEs that were compared."""
    untrained: Sequence[LoadedSAE] | None
    """The same SAEs at initialization."""
    sampled: Sampled | None
    """Activations, and what was measured on them."""
    full_config: ComparisonConfig
    """Settings for 1,024 latents."""
    config: ComparisonConfig
    """Settings that were used."""
    comparison: Comparison
    """Result of `measures.measure`."""
    recorder: Recorder
    """Partners recorded during the measurement."""
    levels_without: Mapping[str, Statistics] | None
    """Chance levels without outliers, by level and statistic, where outliers matter."""

    @property
    def metrics(self) -> Sequence[ReconstructionMetrics] | None:
        """Reconstruction metrics and firing rates."""
        return self.sampled.metrics if self.sampled else None

    @property
    def best(self) -> Float[Tensor, "S S n"]:
        """Best signed cosine of each latent of s with any of t."""
        return self.comparison["best"]


def document(findings: Findings, numeric_abi: dict[str, str] | None) -> dict[str, Any]:
    """Content of `report.json`; its schema is `report.schema.json`."""
    n, d = findings.trained[0].sae.decoder.shape
    threshold = findings.config.threshold
    comparison = estimates.with_derived_levels(findings.comparison, findings.recorder, n, threshold)
    live = [each.live for each in findings.metrics] if findings.metrics else None
    decoders = [each.sae.decoder for each in findings.trained]
    recorder = findings.recorder
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "software": _software(numeric_abi),
        "inputs": _inputs(findings),
        "settings": asdict(findings.config),
        "summary": [],
        "notes": [],
        "dictionaries": _dictionaries(findings),
        "measures": estimates.measures(comparison),
        "pairs": estimates.pairs(comparison),
        "reproducibility": recurrence.reproducibility(findings.best, recorder, threshold, d, live),
        "subspaces": subspaces(decoders, matched_pairs(len(decoders), findings.config)),
        "distribution": curves.distribution(findings.best, recorder, d),
        "firing": _firing(findings),
        "matchings": _matchings(recorder),
    }
    interval90 = estimates.kappa_interval90(comparison, "max_cosine")
    if result["inputs"]["differences"]:
        _label_over_configurations(result)
    result["summary"] = wording.summary(result, interval90)
    n_matched = len(recorder.matchings)
    result["notes"] = wording.notes(result, findings.full_config, findings.config, n_matched)
    return result


def arrays(findings: Findings) -> dict[str, np.ndarray]:
    """Content of `latents.npz`."""
    kept = findings.recorder.matchings
    pairs = sorted(kept)
    decoders, encoders = ([kept[pair][of] for pair in pairs] for of in (0, 1))
    prices = [each.prices for each in decoders if each.prices is not None]
    n_seeds = len(findings.trained)
    p = recurrence.reproducibility_per_latent(findings.best, findings.config.threshold)
    result = {
        "pairs": np.array(pairs, "<i4"),
        "partner": _stack([each.partner for each in decoders], "<i4"),
        "cosine": _stack([each.cosine for each in decoders], "<f4"),
        "encoder_partner": _stack([each.partner for each in encoders], "<i4"),
        "encoder_cosine": _stack([each.cosine for each in encoders], "<f4"),
        "price_a": _stack([each.of_a for each in prices], "<f8"),
        "price_b": _stack([each.of_b for each in prices], "<f8"),
        "reproducibility": p.numpy().astype("<f4"),
        "best_cosine": recurrence.mean_over_others(findings.best).numpy().astype("<f4"),
        "matched_cosine": _matched_cosine(findings.recorder, n_seeds).astype("<f4"),
    }
    if findings.metrics:
        result["firing"] = _stack([each.firing for each in findings.metrics], "<f4")
    return result


def _software(numeric_abi: dict[str, str] | None) -> dict:
    packages = {name: version(name) for name in _PACKAGES}
    return {
        "version": __version__,
        "numeric_abi": numeric_abi,
        "packages": {"python": platform.python_version(), **packages},
    }


def _inputs(findings: Findings) -> dict:
    names = short_labels(findings.trained)
    trained, untrained = findings.trained, findings.untrained
    activations = None
    if findings.sampled:
        rank = {
            name: value if isinstance(value, int) else rounded(value)
            for name, value in findings.comparison["rank"].items()
        }
        activations = findings.sampled.activations.report_entry() | {
            "rank": rank,
            "outliers": _outliers(findings.sampled, findings.levels_without),
        }
    return {
        "dictionaries": [x.report_entry(name) for x, name in zip(trained, names, strict=True)],
        "differences": [
            {"setting": each.setting, "values": [*each.values]} for each in what_differs(trained)
        ],
        "activations": activations,
        "initial": [x.report_entry(name) for x, name in zip(untrained, names, strict=True)]
        if untrained
        else None,
    }


def _outliers(sampled: Sampled, levels: Mapping[str, Statistics] | None) -> dict:
    found, explained = sampled.outliers, sampled.explained_without
    without = None
    if levels and explained:
        without = {
            "explained_variance": [rounded(value) for value in explained],
            "chance": {
                level: {name: rounded(value) for name, value in statistics.items()}
                for level, statistics in levels.items()
            },
        }
    return {
        "times_the_median_norm": TIMES_THE_MEDIAN,
        "count": found.count,
        "share_of_variance": rounded(found.share_of_variance),
        "dropped": sampled.dropped,
        "without": without,
    }


def _dictionaries(findings: Findings) -> list[dict]:
    to_initialization = findings.comparison.get("cosine_with_start")
    entries = []
    for place in range(len(findings.trained)):
        metrics = findings.metrics[place] if findings.metrics else None
        entries.append(
            {
                "live": int(metrics.live.sum()) if metrics else None,
                "explained_variance": rounded(metrics.explained_variance) if metrics else None,
                "l0": rounded(metrics.l0) if metrics else None,
                "dead_fraction": rounded(metrics.dead_fraction) if metrics else None,
                "cosine_with_start": None
                if to_initialization is None
                else rounded(to_initialization[place]),
            }
        )
    return entries


def _firing(findings: Findings) -> dict | None:
    if not findings.metrics:
        return None
    frequency = torch.stack([each.firing for each in findings.metrics])
    return curves.firing(frequency, recurrence.mean_over_others(findings.best))


def _label_over_configurations(part: Any) -> None:
    """Say in every interval's label that it is over configurations, not over seeds."""
    each = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for inner in each:
        _label_over_configurations(inner)
    if isinstance(part, dict) and isinstance(part.get("interval"), str):
        part["interval"] = part["interval"].replace("seeds", "configurations")


def _matchings(recorder: Recorder) -> list[dict]:
    """Totals with their bounds, with more digits than other values."""
    return [
        {
            "pair": list(pair),
            "of": of,
            "total": rounded(matching.total, 12),
            "bound": rounded(matching.bound, 3),
            "method": _METHOD,
        }
        for pair, kept in sorted(recorder.matchings.items())
        for of, matching in zip(("decoder", "encoder"), kept, strict=True)
    ]


def _matched_cosine(recorder: Recorder, n_seeds: int) -> Float[np.ndarray, "S n"]:
    """Mean cosine of each latent with its one-to-one partners."""
    n = len(next(iter(recorder.matchings.values())).decoders.partner)
    total, pairs = np.zeros((n_seeds, n)), np.zeros((n_seeds, 1))
    for (i, j), (matching, _) in recorder.matchings.items():
        cosine = matching.cosine.double().numpy()
        total[i] += cosine
        total[j, matching.partner.numpy()] += cosine
        pairs[[i, j]] += 1
    return total / pairs


def _stack(tensors: Sequence[Tensor], kind: str) -> np.ndarray:
    return np.stack([np.asarray(each) for each in tensors]).astype(kind)
