"""Section "Consistency training": does a consistency loss between two SAEs help (C01–C07)?

The first report computes its consistency term on detached weights. Further arms connect the
gradient of the term, use a second regularizer, share only the initialization or the order of
batches, or double the steps. What a pair agrees on is scored against an independent reference
dictionary of a third seed.
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from audit.experiments.common.arms import NoSettings, activations
from audit.experiments.common.declaration import Experiment, Figure
from audit.folders import DATA
from audit.pipeline.graph.stage import Stage
from audit.subjects.modular_addition.config import Subject
from seedstability.dictionaries.config import HUSAI_TOPK, PairedConfig, TrainingConfig
from seedstability.errors import UserError
from seedstability.similarity.config import ComparisonConfig

SUBJECTS: tuple[Subject, ...] = ("leaky", "clean")
MEASUREMENTS = "audit.experiments.consistency.measurements"
_REPORTED = DATA / "reported" / "consistency_trace.toml"


@dataclass(frozen=True)
class ReportedTrace:
    """The similarity that the first report prints over training."""

    weight: float
    """Weight λ of the run."""
    epoch: tuple[int, ...]
    """Epochs completed."""
    max_cosine: tuple[float, ...]
    """Signed max cosine after each epoch."""
    source: str
    """Place of the figures in the report."""


@dataclass(frozen=True)
class ConsistencySettings:
    """Settings of the section on consistency training."""

    pairs: tuple[tuple[int, int], ...] = ((42, 123), (1, 2), (3, 4), (5, 6), (7, 8))
    """Seeds of the pairs; the first pair is the report's."""
    few_pairs: int = 3
    """Pairs in the side arms: initialization and order, twice the steps, the second regularizer."""
    reference_seeds: tuple[int, ...] = (101, 102, 103, 104, 105)
    """Seeds of the independent reference dictionaries, one per pair."""
    layer: int = 0
    """Residual stream after this block, the report's."""
    n_latents: int = 1024
    """Latents."""
    epochs: int = 10
    """Passes over the activations."""
    weights: tuple[float, ...] = (0.0, 0.01, 0.1, 1.0, 10.0)
    """Weights λ of the connected term on the report's subject."""
    clean_weights: tuple[float, ...] = (0.0, 1.0)
    """Weights λ of the connected term on the clean subject."""
    cut_weights: tuple[float, ...] = (0.01, 0.1, 1.0)
    """Weights λ of the term with detached gradient, as in the report."""
    mfr_weights: tuple[float, ...] = (1.0,)
    """Weights of mutual feature regularization."""


paper = ConsistencySettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(paper, n_latents=64, epochs=3),
    "full": replace(
        paper,
        pairs=((42, 123), *((2 * i + 1, 2 * i + 2) for i in range(19))),
        reference_seeds=tuple(range(101, 121)),
        few_pairs=20,
        clean_weights=paper.weights,
        mfr_weights=paper.weights[1:],
    ),
}


class PairedArm(NamedTuple):
    """Pairs trained with one term, weight and design."""

    name: str
    """Beginning of the names of its stages."""
    train: Stage


def parts(settings: ConsistencySettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    few = replace(settings, pairs=settings.pairs[: settings.few_pairs])
    plain = {subject: _pairs(settings, subject, "connected", 0.0) for subject in SUBJECTS}
    connected = {
        subject: {
            _name(weight): plain[subject]
            if weight == 0
            else _pairs(settings, subject, "connected", weight)
            for weight in weights
        }
        for subject, weights in zip(
            SUBJECTS, (settings.weights, settings.clean_weights), strict=True
        )
    }
    cut = {_name(w): _pairs(settings, "leaky", "cut", w) for w in settings.cut_weights}
    mfr = {
        _name(w): _pairs(few, "leaky", "mfr", w, regularizer="mfr") for w in settings.mfr_weights
    }
    design = {
        f"{initialization}_{order}": _pairs(
            few,
            "leaky",
            f"design_{initialization}_{order}",
            0.0,
            initialization=initialization,
            order=order,
        )
        for initialization, order in (("own", "own"), ("shared", "own"), ("shared", "shared"))
    }
    twice = _pairs(few, "leaky", "twice", 0.0, epochs=2 * settings.epochs)
    return {
        "report": _measure("report", settings, "leaky", {"w0": plain["leaky"]}),
        "leaky": _measure("sweep", settings, "leaky", connected["leaky"], part="leaky"),
        "clean": _measure("sweep", settings, "clean", connected["clean"], part="clean"),
        "cut": _measure("sweep", settings, "leaky", {"w0": plain["leaky"]} | cut, part="cut"),
        "mfr": _measure("sweep", settings, "leaky", {"w0": plain["leaky"]} | mfr, part="mfr"),
        "design": _measure("design", settings, "leaky", {"own_shared": plain["leaky"]} | design),
        "twice": _measure(
            "sweep", settings, "leaky", {"w0": plain["leaky"], "twice": twice}, part="twice"
        ),
        "reported_trace": Stage(
            "consistency/reported_trace", f"{MEASUREMENTS}:reported_trace", reported_trace()
        ),
    }


def reported_trace(file: Path = _REPORTED) -> ReportedTrace:
    """Read the report's own trace from `data/reported`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))
        for column in ("epoch", "max_cosine"):
            entries[column] = tuple(entries[column])
        return ReportedTrace(**entries)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as problem:
        raise UserError(
            f"data/reported/{file.name} cannot be read ({problem}); restore it from the repository"
        ) from problem


def _name(weight: float) -> str:
    """Name of a weight in addresses: `w0_01` for 0.01."""
    return "w" + f"{weight:g}".replace(".", "_")


def _measure(
    function: str,
    settings: ConsistencySettings,
    subject: Subject,
    arms: dict[str, PairedArm],
    part: str | None = None,
) -> Stage:
    """Measure arms: the training of each, and its comparison with the reference dictionaries."""
    data = activations(subject, 0, settings.layer)
    dictionary = replace(
        HUSAI_TOPK, n_latents=settings.n_latents, epochs=settings.epochs, order="shared"
    )
    references = Stage(
        f"consistency/judges/{subject}",
        "audit.training.stages:train",
        TrainingConfig(dictionary, settings.reference_seeds),
        {"activations": data},
    )
    inputs = {
        name: {
            "training": arm.train,
            "comparison": Stage(
                f"{arm.name}/compare",
                "audit.analyses.trace:compare_pairs",
                ComparisonConfig(),
                {"pairs": arm.train, "judges": references, "activations": data},
            ),
        }
        for name, arm in arms.items()
    }
    return Stage(
        f"consistency/{part or function}",
        f"{MEASUREMENTS}:{function}",
        NoSettings(),
        {"arms": inputs},
    )


def _pairs(
    settings: ConsistencySettings,
    subject: Subject,
    arm: str,
    weight: float,
    *,
    epochs: int = 0,
    **changes,
) -> PairedArm:
    """Train all pairs of one arm."""
    dictionary = replace(HUSAI_TOPK, n_latents=settings.n_latents, epochs=epochs or settings.epochs)
    if arm == "cut":
        changes["gradient"] = "cut"
    name = f"consistency/{subject}/{arm}/{_name(weight)}"
    train = Stage(
        f"{name}/train",
        "audit.training.stages:train_pairs",
        PairedConfig(
            dictionary,
            settings.pairs,
            weight,
            # Only the report's own arm is traced over epochs.
            trace_every_epoch=arm == "connected" and weight == 0,
            **changes,
        ),
        {"activations": activations(subject, 0, settings.layer)},
    )
    return PairedArm(name, train)


def printed(config: ConsistencySettings) -> dict:
    """Settings that the text mentions."""
    return {
        "pairs": len(config.pairs),
        "report_pair": " and ".join(str(seed) for seed in config.pairs[0]),
        "latents": config.n_latents,
        "epochs": config.epochs,
        "few_pairs": config.few_pairs,
        "weights": ", ".join(f"{weight:g}" for weight in config.weights),
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("consistency", "consistency", "addition.consistency"),
        Figure("trace", "consistency", "addition.trace"),
    ),
    tables=("consistency",),
)
