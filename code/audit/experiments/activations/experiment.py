"""Section "What latents do": activations and ablations over decoder cosine (C27).

The second report lists both as missing. On held-out text and the base configuration of the language
model, the section tests whether latents of similar decoders fire alike, and whether their ablations
have the same effect on the next token.
"""

from dataclasses import dataclass, replace

from audit.evaluation.behavior.config import AblationConfig, CorrelationConfig
from audit.experiments.common.arms import Arm
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage
from audit.pipeline.results import Scalar
from audit.subjects.language_model.config import weights_sha256

MEASUREMENTS = "audit.experiments.activations.measurements"


@dataclass(frozen=True)
class ActivationsSettings:
    """Settings of the section on activations and ablations."""

    base: language.LanguageSettings = language.paper
    """Base configuration: the dictionaries, and the text on which they are compared."""
    seeds: tuple[int, ...] = language.paper.few_seeds
    """Compared seeds: the fewest that give an interval."""
    latents: int = 75
    """Ablated latents per pair of neighboring seeds."""
    contexts: int = 4
    """Held-out contexts in which each latent is ablated."""
    threshold: float = 0.7
    """Cosine, or correlation, from which two latents count as the same."""
    unlike: float = 0.3
    """Cosine below which two latents count as unlike."""
    strata: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    """Inner edges, in decoder cosine, of the strata from which ablated latents are drawn."""


paper = ActivationsSettings()
PROFILES = {
    "paper": paper,
    # After such a short training all cosines are low; these edges have latents on both sides.
    "smoke": replace(
        paper,
        base=language.PROFILES["smoke"],
        latents=12,
        contexts=2,
        threshold=0.22,
        unlike=0.2,
        strata=(0.15, 0.2, 0.22, 0.25),
    ),
    "full": replace(
        paper,
        base=language.PROFILES["full"],
        seeds=language.PROFILES["full"].seeds,
        latents=256,
        contexts=16,
    ),
}


@dataclass(frozen=True)
class ActivationsMeasurementConfig:
    """Settings of the measuring stages."""

    correlation: CorrelationConfig
    """Thresholds and bins of correlations."""
    ablation: AblationConfig
    """Strata and numbers of ablated latents."""


def parts(settings: ActivationsSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    arm, measured = language.base_arm(settings.base), _measurement(settings)
    correlate = _stage("correlate", "correlation", measured.correlation, arm)
    ablate = _stage("ablate", "ablation", measured.ablation, arm)
    return {
        "correlation": _measure("correlation", measured, correlate),
        "ablation": _measure("ablation", measured, ablate),
    }


def _measurement(settings: ActivationsSettings) -> ActivationsMeasurementConfig:
    base = settings.base
    dictionary = language.dictionary(base)
    correlation = CorrelationConfig(
        dictionary, settings.seeds, threshold=settings.threshold, unlike=settings.unlike
    )
    ablation = AblationConfig(
        dictionary,
        model=base.model,
        weights_sha256=weights_sha256(base.model),
        hook=base.hook,
        seeds=settings.seeds,
        latents=settings.latents,
        contexts=settings.contexts,
        strata=settings.strata,
    )
    return ActivationsMeasurementConfig(correlation, ablation)


def _stage(name: str, module: str, config: CorrelationConfig | AblationConfig, arm: Arm) -> Stage:
    return Stage(
        f"activations/{name}",
        f"audit.evaluation.behavior.{module}:{name}",
        config,
        {"dictionaries": arm.train, "activations": arm.data},
    )


def _measure(part: str, config: ActivationsMeasurementConfig, stage: Stage) -> Stage:
    return Stage(f"activations/{part}", f"{MEASUREMENTS}:{part}", config, {"found": stage})


def printed(config: ActivationsSettings) -> dict:
    """Settings that the text mentions."""
    base, measured = config.base, _measurement(config)
    correlation, ablation = measured.correlation, measured.ablation
    return {
        "seeds": len(config.seeds),
        "latents": base.n_latents,
        "k": base.k,
        "contexts": base.heldout_contexts,
        "threshold": Scalar(correlation.threshold, 1),
        "unlike": Scalar(correlation.unlike, 1),
        "ablated_latents": ablation.latents,
        "ablated_contexts": ablation.contexts,
        "ablated_positions": ablation.positions,
        "neighbours": ablation.neighbours,
        "strata": len(ablation.strata) + 1,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(Figure("activations", "activations", "language.activations"),),
    tables=("activations",),
)
