"""Section "A known symmetry": do seeds differ by translations of modular addition?

The clean subject adds modulo p, so a translation of the summands only permutes inputs. If each seed
picked one element of an orbit, two seeds would agree up to a translation: one for all latents, or
one for each.
"""

from dataclasses import dataclass, replace

from audit.analyses.symmetry.config import InvarianceConfig, SymmetryConfig
from audit.experiments.common.arms import NoSettings, activations
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.modular import experiment as modular
from audit.pipeline.graph.stage import Inputs, Stage
from audit.subjects.modular_addition.config import CLEAN
from seedstability.dictionaries.config import RELU, DictionaryConfig, TrainingConfig

MEASUREMENTS = "audit.experiments.symmetry.measurements"
LITERATURE = "literature"
"""ReLU trained as in the literature: dictionaries that moved away from their initialization."""


@dataclass(frozen=True)
class SymmetrySettings:
    """Settings of the section on a known symmetry."""

    base: modular.ModularSettings = modular.PROFILES["paper"]
    """Base configuration: all dictionaries of subject 0, and the recipe of all others."""
    subjects: tuple[int, ...] = (1, 2)
    """Seeds of the other clean transformers."""
    seeds: tuple[int, ...] = modular.REPORT_SEEDS
    """Seeds of the dictionaries on these transformers: the fewest that give an interval."""
    queries: int = 32
    """Latents per dictionary for which partners are searched."""
    candidates: int = 16
    """Latents of the other dictionary that are searched over all shifts, per query."""
    units: int = 64
    """Pairs of multiplication and candidate that are searched over all shifts, per query."""
    fewest_firings: int = 113
    """Fewest inputs on which a query fires; p, one per residue."""
    draws: int = 5
    """Relabelings behind the chance level of the activations' own invariance."""


paper = SymmetrySettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        base=modular.PROFILES["smoke"],
        queries=6,
        candidates=4,
        units=8,
        fewest_firings=1,
        draws=2,
    ),
    "full": replace(
        paper,
        base=modular.PROFILES["full"],
        seeds=modular.PROFILES["full"].clean_seeds,
        queries=128,
        candidates=32,
        units=256,
        draws=100,
    ),
}


def parts(settings: SymmetrySettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    searches = {
        architecture: {
            f"clean{subject}": _search(settings, architecture, subject)
            for subject in (0, *settings.subjects)
        }
        for architecture in modular.ARCHITECTURES
    }
    searches[LITERATURE] = {"clean0": _literature(settings)}
    return {
        **{name: _measure(name, "pooled", {"searches": arm}) for name, arm in searches.items()},
        "subjects": _measure("subjects", "subjects", {"arms": searches}),
        "figure": _measure("figure", "figure", {"arms": searches}),
        "example": _measure("example", "example", {"search": searches["topk"]["clean0"]}),
        "invariance": _measure("invariance", "invariance", {"subjects": _invariance(settings)}),
    }


def _measure(part: str, function: str, inputs: Inputs) -> Stage:
    return Stage(f"symmetry/{part}", f"{MEASUREMENTS}:{function}", NoSettings(), inputs)


def _search(settings: SymmetrySettings, architecture: str, subject: int) -> Stage:
    base = settings.base
    preset = replace(
        modular.ARCHITECTURES[architecture], n_latents=base.n_latents, epochs=base.epochs
    )
    name = f"{architecture}_clean{subject}"
    if subject == 0:
        arm = modular.base_arms(base)[f"{architecture}_clean"]
        return _search_stage(settings, name, preset, arm.train, arm.data)
    data = activations("clean", subject, base.layer)
    train = Stage(
        f"symmetry/{name}/train",
        "audit.training.stages:train",
        TrainingConfig(preset, settings.seeds),
        {"activations": data},
    )
    return _search_stage(settings, name, preset, train, data)


def _literature(settings: SymmetrySettings) -> Stage:
    base = settings.base
    preset = replace(RELU, n_latents=base.n_latents, epochs=base.epochs)
    arm = modular.conventions_arms(base)["relu_clean"]
    return _search_stage(settings, f"{LITERATURE}_clean0", preset, arm.train, arm.data)


def _search_stage(
    settings: SymmetrySettings, name: str, preset: DictionaryConfig, train: Stage, data: Stage
) -> Stage:
    return Stage(
        f"symmetry/{name}/search",
        "audit.analyses.symmetry.stages:search",
        SymmetryConfig(
            preset,
            queries=settings.queries,
            fewest_firings=settings.fewest_firings,
            candidates=settings.candidates,
            multipliers=settings.units,
        ),
        {"dictionaries": train, "activations": data},
    )


def _invariance(settings: SymmetrySettings) -> dict[str, Stage]:
    return {
        f"clean{subject}": Stage(
            f"symmetry/clean{subject}/invariance",
            "audit.analyses.symmetry.stages:invariance",
            InvarianceConfig(draws=settings.draws),
            {"activations": activations("clean", subject, settings.base.layer)},
        )
        for subject in (0, *settings.subjects)
    }


def printed(config: SymmetrySettings) -> dict:
    """Settings that the text mentions."""
    return {
        "modulus": CLEAN.p,
        "inputs": CLEAN.p**2,
        "latents": config.base.n_latents,
        "layer": config.base.layer,
        "subjects": 1 + len(config.subjects),
        "centre_seeds": len(config.base.clean_seeds),
        "seeds": len(config.seeds),
        "queries": config.queries,
        "candidates": config.candidates,
        "units": config.units,
        "fewest_firings": config.fewest_firings,
        "draws": config.draws,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("symmetry", "symmetry.figure", "addition.symmetry"),
        Figure("symmetry_example", "symmetry.example", "addition.symmetry_example"),
    ),
    tables=("symmetry",),
)
