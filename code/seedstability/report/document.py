"""Content of `report.json` from the findings of a comparison."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from seedstability import __version__
from seedstability.report import curves, estimates, groups, over_time, recurrence, wording
from seedstability.report.estimates import rounded
from seedstability.report.findings import Findings
from seedstability.report.report import SCHEMA
from seedstability.report.subspaces import subspaces
from seedstability.similarity.config import matched_pairs
from seedstability.similarity.dictionaries.labels import short_labels
from seedstability.similarity.dictionaries.loaded import what_differs
from seedstability.similarity.pairs import Statistics
from seedstability.similarity.recorder import Recorder
from seedstability.similarity.samples.outliers import TIMES_THE_MEDIAN
from seedstability.similarity.samples.sampled import Sampled
from seedstability.stability.recurrence import compared_latents

_PACKAGES = ("numba", "numpy", "scipy", "torch")
_MOST_CONTEXTS = 100_000
"""About 10 MB of text."""
_METHOD = "exact, certified by dual prices"


def document(findings: Findings, numeric_abi: dict[str, str] | None) -> dict[str, Any]:
    """Content of `report.json`; its schema is `report.schema.json`."""
    decoders = [each.weights.decoder for each in findings.trained]
    d, threshold, recorder = decoders[0].shape[1], findings.config.threshold, findings.recorder
    comparison = estimates.with_derived_levels(
        findings.comparison, recorder, findings.sizes, threshold
    )
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
        "groups": None if findings.groups is None else groups.groups(comparison, findings.groups),
        "over_time": None
        if findings.steps is None
        else over_time.over_time(comparison, findings.trained, findings.steps),
        "reproducibility": recurrence.reproducibility(
            findings.best, recorder, threshold, d, findings.live
        ),
        "subspaces": subspaces(decoders, matched_pairs(len(decoders), findings.config)),
        "distribution": curves.distribution(findings.best, recorder, d),
        "firing": _firing(findings),
        "matchings": _matchings(recorder),
    }
    interval90 = estimates.kappa_interval90(comparison, "max_cosine")
    if findings.steps or result["inputs"]["differences"]:
        _label_over(result, "checkpoints" if findings.steps else "configurations")
    result["summary"] = wording.summary(result, interval90)
    n_matched = len(recorder.matchings)
    result["notes"] = wording.notes(result, findings.full_config, findings.config, n_matched)
    if findings.tokens and result["inputs"]["contexts"] is None:
        result["notes"].append(
            f"contexts are not listed: there are more than {_MOST_CONTEXTS:,}; top_samples in"
            " latents.npz has the numbers of the samples"
        )
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
    if findings.steps:
        names = [f"step {step:,}" for step in findings.steps]
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
        "decoders_only": trained[0].encoder is None,
        "contexts": _contexts(findings),
        "activations": activations,
        "initial": [x.report_entry(name) for x, name in zip(untrained, names, strict=True)]
        if untrained
        else None,
    }


def _contexts(findings: Findings) -> dict[str, str] | None:
    """Text around each sample in which some latent is among its largest, by number."""
    if findings.tokens is None or not findings.metrics:
        return None
    found = [each.strongest.samples for each in findings.metrics if each.strongest]
    numbers = torch.cat([each.flatten() for each in found]).unique().tolist()
    if len(numbers) > _MOST_CONTEXTS:
        return None
    return {str(number): findings.tokens.context(number) for number in numbers if number >= 0}


def _outliers(sampled: Sampled, levels: Mapping[str, Statistics] | None) -> dict:
    found, explained = sampled.outliers, sampled.explained_without
    without = None
    if levels and explained is not None:
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
    for place, each in enumerate(findings.trained):
        metrics = findings.metrics[place] if findings.metrics else None
        entries.append(
            {
                "without_direction": len(each.decoder) - len(each.directed),
                "live": int(findings.live[place].sum()) if findings.live else None,
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
    if not findings.firing:
        return None
    both = zip(findings.firing, findings.trained, strict=True)
    frequency = torch.cat([each.compared(rates) for rates, each in both])
    cosine = recurrence.mean_over_others(findings.best)[compared_latents(findings.best)]
    return curves.firing(frequency, cosine)


def _label_over(part: Any, what: str) -> None:
    """Say in every interval's label that it is over these, not over seeds."""
    each = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for inner in each:
        _label_over(inner, what)
    if isinstance(part, dict) and isinstance(part.get("interval"), str):
        part["interval"] = part["interval"].replace("seeds", what)


def _matchings(recorder: Recorder) -> list[dict]:
    """Totals with their bounds, with more digits than other values."""
    return [
        {
            "pair": list(pair),
            "of": "encoder" if prefix else "decoder",
            "total": rounded(matching.total, 12),
            "bound": rounded(matching.bound, 3),
            "method": _METHOD,
        }
        for pair, kept in sorted(recorder.matchings.items())
        for prefix, matching in kept.named()
    ]
