"""Base configuration of the sections on language models: model, activations, dictionaries.

The base configuration stands for the third report's setting on a model that needs no download: the
residual stream in the middle of the model, TopK, one order of batches for all seeds. The other
sections vary one factor at a time around it, or read other hook points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.experiments.common.arms import Arm, arm
from audit.experiments.common.declaration import Experiment
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import (
    DOMAINS,
    HUB,
    OURS,
    SMALL,
    WHEELS,
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
    """Base configuration of the sections on language models."""

    model: str = OURS
    """The model; `small` is the one trained in this repository."""
    hook: str = "blocks.2.hook_resid_pre"
    """The middle of the residual stream: two of the small model's four blocks lie before it."""
    n_latents: int = 512
    """Latents in the base configuration, four for each dimension."""
    k: int = 16
    """Latents kept for each token."""
    tokens: int = 131_072
    """Distinct training tokens in the base configuration."""
    epochs: int = 4
    """Passes over the training tokens."""
    learning_rate: float = 3e-3
    """Learning rate of all dictionaries. It was chosen with seed 1000 by held-out explained
    variance alone: 0.831, 0.873, 0.885 and 0.863 at 3e-4, 1e-3, 3e-3 and 1e-2. The preset's 3e-4 is
    for many more steps: there the mean cosine to initialization stays at 0.66, here it falls to
    0.25."""
    seeds: tuple[int, ...] = tuple(range(20))
    """Seeds in the base configuration."""
    few_seeds: tuple[int, ...] = tuple(range(5))
    """Seeds of other arms: the fewest that give an interval."""
    fewest_seeds: tuple[int, ...] = tuple(range(3))
    """Seeds of the largest dictionaries and longest trainings, which have a range only."""
    heldout_contexts: int = 400
    """Held-out contexts on which all dictionaries are evaluated."""
    together: tuple[str, ...] = ()
    """Hook points whose activations are read in one pass."""


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
    """The corpus in a model's tokens, as a stage that all experiments share."""
    # A profile that names a model of the hub allows its download.
    return Stage(f"text/{_short(model)}", f"{STAGES}:text", text_config(model, model in HUB))


def read(
    hook: str,
    tokens: int,
    domains: Sequence[Domain] = DOMAINS,
    heldout_contexts: int = paper.heldout_contexts,
    model: str = OURS,
    together: Sequence[str] = (),
) -> Stage:
    """Activations at a hook point, as a stage that all experiments share."""
    config = ActivationsConfig(
        model,
        weights_sha256(model),
        hook,
        tokens,
        tuple(domains),
        heldout_contexts,
        max_norm_multiple=WHEELS[model].max_norm_multiple if model in WHEELS else 0.0,
        together=tuple(together),
        allow_download=model in HUB,
    )
    name = f"{_short(model)}_{hook}_{tokens}_{'_'.join(domains)}_{heldout_contexts}"
    return Stage(f"activations/{name}", f"{STAGES}:activations", config, {"text": text(model)})


def dictionary(settings: LanguageSettings, **changes) -> DictionaryConfig:
    """Settings of the base configuration's TopK dictionaries, with `changes`."""
    base = replace(
        TOPK,
        n_latents=settings.n_latents,
        k=settings.k,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
    )
    return replace(base, **changes)


def base_arm(settings: LanguageSettings) -> Arm:
    """The base configuration's dictionaries, one per seed, as stages that all experiments share."""
    return arm(
        "language/centre",
        read(
            settings.hook,
            settings.tokens,
            heldout_contexts=settings.heldout_contexts,
            model=settings.model,
            together=settings.together,
        ),
        TrainingConfig(dictionary(settings), settings.seeds, samples=settings.tokens),
        ComparisonConfig(complete=len(settings.few_seeds), permutations=19),
    )


def _short(model: str) -> str:
    """The model's name in the names of stages; of a folder, its last part."""
    return model.rstrip("/").rpartition("/")[2]


def parts(settings: LanguageSettings) -> dict[str, Stage]:
    """Stages on the model itself."""
    return {
        "subject": Stage(
            "language/subject",
            f"{MEASUREMENTS}:subject",
            SMALL.corpus,
            {"text": text(), "statistics": statistics()},
        ),
    }


def statistics() -> Stage:
    """Losses of the small model and of n-gram models."""
    config = StatisticsConfig(weights_sha256(OURS))
    return Stage("text/statistics", f"{STAGES}:statistics", config, {"text": text()})


def printed(config: LanguageSettings) -> dict:
    """Settings of the base configuration that the text mentions."""
    return {
        "latents": config.n_latents,
        "k": config.k,
        "tokens": config.tokens,
        "epochs": config.epochs,
        "seen": config.tokens * config.epochs,
        "seeds": len(config.seeds),
        "few_seeds": len(config.few_seeds),
        "fewest_seeds": len(config.fewest_seeds),
        "heldout_contexts": config.heldout_contexts,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    tables=("language",),
)
