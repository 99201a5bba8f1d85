"""What the sections on language models share: the model, its activations, the centre of the grid.

The centre stands for the third report's setting on a model that anybody can have offline: the
residual stream in the middle of the model, TopK, one order of batches for all seeds. The other
sections move one factor at a time away from it, or read other hook points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.experiments.common.arms import Arm, arm
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import (
    DOMAINS,
    HUB,
    OURS,
    SMALL,
    ActivationsConfig,
    Domain,
    StatisticsConfig,
    text_config,
    weights_sha256,
)
from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig
from seedstability.similarity.config import ComparisonConfig

STAGES = "audit.subjects.language_model.stages"
MEASUREMENTS = "audit.experiments.language.measurements"


@dataclass(frozen=True)
class LanguageSettings:
    """What the sections on language models share."""

    model: str = OURS
    """The model; `small` is the one trained here."""
    hook: str = "blocks.2.hook_resid_pre"
    """The middle of the residual stream: two of the small model's four blocks lie before it."""
    n_latents: int = 512
    """Latents at the centre, four for each dimension."""
    k: int = 16
    """Latents kept for each token."""
    tokens: int = 131_072
    """Distinct training tokens at the centre."""
    epochs: int = 4
    """Passes over them."""
    learning_rate: float = 3e-3
    """Of all dictionaries. Found with seed 1000, by explained variance on held-out tokens alone:
    0.831, 0.873, 0.885 and 0.863 at 3e-4, 1e-3, 3e-3 and 1e-2. At the preset's 3e-4, which is for
    many more steps, latents end with a mean cosine of 0.66 with their own start, here with 0.25."""
    seeds: tuple[int, ...] = tuple(range(20))
    """Seeds at the centre."""
    few_seeds: tuple[int, ...] = tuple(range(5))
    """Seeds elsewhere: as few as still give an interval."""
    fewest_seeds: tuple[int, ...] = tuple(range(3))
    """Seeds of the largest dictionaries and the longest trainings, where a range has to do."""
    heldout_contexts: int = 400
    """Held-out contexts on which all dictionaries are measured."""


paper = LanguageSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        n_latents=64,
        k=8,
        tokens=4096,
        epochs=1,
        seeds=tuple(range(5)),
        heldout_contexts=40,
    ),
    "full": replace(paper, few_seeds=paper.seeds, fewest_seeds=paper.seeds),
}


def text(model: str = OURS) -> Stage:
    """The corpus in a model's tokens, the same stage for whoever asks."""
    # A profile that names a model of the hub allows that it is fetched.
    return Stage(f"text/{_short(model)}", f"{STAGES}:text", text_config(model, model in HUB))


def read(
    hook: str,
    tokens: int,
    domains: Sequence[Domain] = DOMAINS,
    heldout_contexts: int = paper.heldout_contexts,
    model: str = OURS,
) -> Stage:
    """Activations at a hook point, the same stage for whoever asks for the same."""
    config = ActivationsConfig(
        model,
        weights_sha256(model),
        hook,
        tokens,
        tuple(domains),
        heldout_contexts,
        allow_download=model in HUB,
    )
    name = f"{_short(model)}_{hook}_{tokens}_{'_'.join(domains)}_{heldout_contexts}"
    return Stage(f"activations/{name}", f"{STAGES}:activations", config, {"text": text(model)})


def dictionary(settings: LanguageSettings, **changes) -> DictionaryConfig:
    """TopK as at the centre, but for `changes`."""
    base = replace(
        TOPK,
        n_latents=settings.n_latents,
        k=settings.k,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
    )
    return replace(base, **changes)


def base_arm(settings: LanguageSettings) -> Arm:
    """The centre's dictionaries, one for each of `seeds`, the same stages for whoever asks."""
    return arm(
        "language/centre",
        read(
            settings.hook,
            settings.tokens,
            heldout_contexts=settings.heldout_contexts,
            model=settings.model,
        ),
        TrainingConfig(dictionary(settings), settings.seeds, samples=settings.tokens),
        ComparisonConfig(complete=len(settings.few_seeds), permutations=19),
    )


def _short(model: str) -> str:
    """The model's name, or the last part of a folder's, as a part of a stage's name."""
    return model.rstrip("/").rpartition("/")[2]


def parts(settings: LanguageSettings) -> dict[str, Stage]:
    """What is said of the model itself, and, where the profile has it, the grid."""
    return {
        "subject": Stage(
            "language/subject",
            f"{MEASUREMENTS}:subject",
            SMALL.corpus,
            {"text": text(), "statistics": statistics()},
        ),
        "settings": Stage("language/settings", f"{MEASUREMENTS}:settings", settings),
    }


def statistics() -> Stage:
    """How well the small model predicts, beside n-gram models."""
    config = StatisticsConfig(weights_sha256(OURS))
    return Stage("text/statistics", f"{STAGES}:statistics", config, {"text": text()})
