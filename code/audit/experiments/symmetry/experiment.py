"""Section "A known symmetry": is the ambiguity of the dictionaries a group that has a name?

The clean subject adds modulo p, so translating the summands only exchanges inputs. Were a seed to
pick one element of an orbit, two seeds would agree up to a translation, of all latents or of each.
"""

from dataclasses import dataclass, replace

from audit.analyses.symmetry.config import InvarianceConfig, SymmetryConfig
from audit.experiments.common.arms import activations
from audit.experiments.modular import experiment as modular
from audit.pipeline.graph.stage import Stage
from seedstability.dictionaries.config import RELU, DictionaryConfig, TrainingConfig

MEASUREMENTS = "audit.experiments.symmetry.measurements"
LITERATURE = "literature"
"""ReLU as the literature trains it: dictionaries that did leave their random start."""


@dataclass(frozen=True)
class SymmetrySettings:
    """What varies in this section."""

    base: modular.ModularSettings = modular.PROFILES["paper"]
    """Subject zero's dictionaries, all seeds, and the recipe of all others."""
    subjects: tuple[int, ...] = (1, 2)
    """Seeds of the other clean transformers."""
    seeds: tuple[int, ...] = modular.REPORT_SEEDS
    """Seeds of the dictionaries on those: as few as still give an interval."""
    queries: int = 32
    """Latents of a dictionary whose partners are looked for."""
    candidates: int = 16
    """Latents of the other dictionary that are looked at over all shifts, for each."""
    units: int = 64
    """Multiplications and such latents that are looked at together, for each."""
    fewest_firings: int = 113
    """Inputs on which a latent must fire to be drawn; p, one for each number."""
    draws: int = 5
    """Relabellings behind the chance level of the activations' own invariance."""


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
    """The parts of the section, each with the stages it measures."""
    searches = {
        architecture: {
            f"clean{subject}": _search(settings, architecture, subject)
            for subject in (0, *settings.subjects)
        }
        for architecture in modular.ARCHITECTURES
    }
    moved = {"clean0": _literature(settings)}
    everything = {
        f"{name}__{subject}": stage
        for name, arm in (searches | {LITERATURE: moved}).items()
        for subject, stage in arm.items()
    }
    return {
        **{
            name: _measure(name, "pooled", arm)
            for name, arm in (searches | {LITERATURE: moved}).items()
        },
        "subjects": _measure("subjects", "subjects", everything),
        "figure": _measure("figure", "figure", everything),
        "example": _measure("example", "example", {"search": searches["topk"]["clean0"]}),
        "invariance": _measure("invariance", "invariance", _invariance(settings)),
        "settings": Stage("symmetry/settings", f"{MEASUREMENTS}:settings", settings),
    }


@dataclass(frozen=True)
class _NoSettings:
    """Settings of a measuring stage that has none of its own."""


def _measure(part: str, function: str, inputs: dict[str, Stage]) -> Stage:
    return Stage(f"symmetry/{part}", f"{MEASUREMENTS}:{function}", _NoSettings(), inputs)


def _search(settings: SymmetrySettings, architecture: str, subject: int) -> Stage:
    base = settings.base
    preset = replace(
        modular.ARCHITECTURES[architecture], n_latents=base.n_latents, epochs=base.epochs
    )
    name = f"{architecture}_clean{subject}"
    if subject == 0:
        train = _modular_training(settings, "headline", f"{architecture}_clean")
    else:
        train = Stage(
            f"symmetry/{name}/train",
            "audit.training.stages:train",
            TrainingConfig(preset, settings.seeds),
            {"activations": activations("clean", subject, base.layer)},
        )
    return _search_stage(settings, name, preset, train)


def _literature(settings: SymmetrySettings) -> Stage:
    base = settings.base
    preset = replace(RELU, n_latents=base.n_latents, epochs=base.epochs)
    train = _modular_training(settings, "conventions", "relu_clean")
    return _search_stage(settings, f"{LITERATURE}_clean0", preset, train)


def _modular_training(settings: SymmetrySettings, part: str, arm: str) -> Stage:
    """Dictionaries that the section on modular addition has trained."""
    compared = modular.parts(settings.base)[part].inputs[f"{arm}__comparison"]
    return compared.inputs["dictionaries"]


def _search_stage(
    settings: SymmetrySettings, name: str, preset: DictionaryConfig, train: Stage
) -> Stage:
    return Stage(
        f"symmetry/{name}/search",
        "audit.analyses.symmetry.stages:search",
        SymmetryConfig(
            preset,
            queries=settings.queries,
            fewest_firings=settings.fewest_firings,
            candidates=settings.candidates,
            units=settings.units,
        ),
        {"dictionaries": train, "activations": train.inputs["activations"]},
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
