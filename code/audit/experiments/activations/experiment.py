"""Section "What latents do": activations and ablations held against decoder cosine (claim C27).

The second report lists both as missing. They are measured on the centre's dictionaries of the
small language model, on held-out text: whether latents that look alike fire alike, and whether
taking them out does the same to the next token.
"""

from dataclasses import dataclass, replace

from audit.evaluation.behavior.config import AblationConfig, CorrelationConfig
from audit.experiments.common.arms import Arm
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import weights_sha256

MEASUREMENTS = "audit.experiments.activations.measurements"


@dataclass(frozen=True)
class ActivationsSettings:
    """What varies in this section."""

    base: language.LanguageSettings = language.paper
    """The dictionaries, and the text on which they are held against each other."""
    first: int = 5
    """Seeds that are compared, from the centre's first on: as few as still give an interval."""
    latents: int = 75
    """Latents of each neighbouring pair of seeds that are removed."""
    contexts: int = 4
    """Held-out contexts in which each is removed."""
    threshold: float = 0.7
    """Cosine, or correlation, from which two latents count as the same."""
    unlike: float = 0.3
    """Cosine below which they count as unlike."""
    strata: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)
    """Inner edges, in decoder cosine, of the strata from which removed latents are drawn."""


paper = ActivationsSettings()
PROFILES = {
    "paper": paper,
    # So short a training leaves all cosines low; these edges have latents on both sides.
    "smoke": replace(
        paper,
        base=language.PROFILES["smoke"],
        latents=12,
        contexts=2,
        threshold=0.22,
        unlike=0.2,
        strata=(0.15, 0.2, 0.22, 0.25),
    ),
    "full": replace(paper, base=language.PROFILES["full"], first=20, latents=256, contexts=16),
}


@dataclass(frozen=True)
class ActivationsMeasurementConfig:
    """What the measuring stage is told."""

    base: language.LanguageSettings
    """The centre's settings, of which the text names some."""
    correlation: CorrelationConfig
    """Thresholds and bins."""
    ablation: AblationConfig
    """Strata, and how many latents."""


def parts(settings: ActivationsSettings) -> dict[str, Stage]:
    """The parts of the section, each with the stages it measures."""
    base = settings.base
    arm = language.base_arm(base)
    dictionary = language.dictionary(base)
    correlation = CorrelationConfig(
        dictionary, first=settings.first, threshold=settings.threshold, unlike=settings.unlike
    )
    ablation = AblationConfig(
        dictionary,
        model=base.model,
        weights_sha256=weights_sha256(base.model),
        hook=base.hook,
        first=settings.first,
        latents=settings.latents,
        contexts=settings.contexts,
        strata=settings.strata,
    )
    measurement = ActivationsMeasurementConfig(base, correlation, ablation)
    return {
        "correlation": _measure(
            "correlation", measurement, _stage("correlate", "correlation", correlation, arm)
        ),
        "ablation": _measure("ablation", measurement, _stage("ablate", "ablation", ablation, arm)),
        "settings": Stage("activations/settings", f"{MEASUREMENTS}:settings", measurement),
    }


def _stage(name: str, module: str, config: CorrelationConfig | AblationConfig, arm: Arm) -> Stage:
    data = arm.train.inputs["activations"]
    return Stage(
        f"activations/{name}",
        f"audit.evaluation.behavior.{module}:{name}",
        config,
        {"dictionaries": arm.train, "activations": data},
    )


def _measure(part: str, config: ActivationsMeasurementConfig, stage: Stage) -> Stage:
    return Stage(f"activations/{part}", f"{MEASUREMENTS}:{part}", config, {"found": stage})
