"""Section "Can unshared latents be explained?": detection scores of learned rules (C46, C49).

An explanation is a short rule about tokens. It is learned from the text on which a latent fires
most strongly and scored on other text, as the fifth report scores explanations by a language model.
Hook point and dictionaries are those of the section on alignment at one size.
"""

from dataclasses import dataclass, replace

from audit.evaluation.explanation.config import AlignmentConfig, ExplanationConfig
from audit.evaluation.explanation.windows import LENGTH
from audit.experiments.alignment import experiment as alignment
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import weights_sha256

MEASUREMENTS = "audit.experiments.explanations.measurements"
STAGES = "audit.evaluation.explanation.stages"
SIZE = alignment.PLACES.index("small")
"""Size of the explained dictionaries: sixteen latents per dimension in profile `paper`."""


@dataclass(frozen=True)
class ExplanationsSettings:
    """Settings of the section on explanations."""

    aligned: alignment.AlignmentSettings = alignment.PROFILES["paper"]
    """Settings of the section on alignment: model, hook point, dictionaries and seeds."""
    heldout_contexts: int = 1200
    """Held-out contexts, half for learning and half for scoring."""
    latents: int = 200
    """Explained latents per dictionary."""
    scored: int = 100
    """Active and inactive windows per scored latent, the report's."""

    @property
    def n_latents(self) -> int:
        """Latents per dictionary."""
        return self.aligned.sizes[SIZE]


@dataclass(frozen=True)
class ExplanationsMeasurementConfig:
    """Settings of the measuring stages."""

    n_latents: int
    """Latents per dictionary."""
    threshold: float = 0.7
    """Alignment above which a latent is shared, the report's."""
    bins: int = 10
    """Bins of the figure."""


paper = ExplanationsSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        aligned=alignment.PROFILES["smoke"],
        heldout_contexts=160,
        latents=30,
        scored=20,
    ),
    "full": replace(paper, aligned=alignment.PROFILES["full"], latents=1000),
}


def parts(settings: ExplanationsSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    train = _train(settings)
    measured = ExplanationsMeasurementConfig(settings.n_latents)
    explained = {"explained": _explained(settings, train)}
    both = explained | {"aligned": _aligned(train)}
    inputs = {
        "scores": explained,
        "alignment": both,
        "frequency": explained,
        "rules": both,
        "figure": both,
    }
    return {
        part: Stage(f"explanations/{part}", f"{MEASUREMENTS}:{part}", measured, needed)
        for part, needed in inputs.items()
    }


def _train(settings: ExplanationsSettings) -> Stage:
    return alignment.size_arm(settings.aligned, settings.n_latents).train


def _explained(settings: ExplanationsSettings, train: Stage) -> Stage:
    model = settings.aligned.model
    # Far more held-out text than elsewhere, and the fewest training tokens.
    text = language.read(
        settings.aligned.hook, 128, heldout_contexts=settings.heldout_contexts, model=model
    )
    config = ExplanationConfig(
        train.config.dictionary,
        model,
        weights_sha256(model),
        latents=settings.latents,
        shown=settings.scored,
        contrast=4 * settings.scored,
        scored=settings.scored,
    )
    return Stage(
        "explanations/explain",
        f"{STAGES}:explain",
        config,
        {"dictionaries": train, "activations": text},
    )


def _aligned(train: Stage) -> Stage:
    return Stage(
        "explanations/align", f"{STAGES}:align", AlignmentConfig(), {"dictionaries": train}
    )


def printed(config: ExplanationsSettings) -> dict:
    """Settings that the text mentions."""
    train = _train(config)
    return {
        "seeds": len(train.config.seeds),
        "latents": config.n_latents,
        "contexts": config.heldout_contexts,
        "drawn": config.latents,
        "scored": config.scored,
        "contrast": _explained(config, train).config.contrast,
        "window": LENGTH,
        "bins": ExplanationsMeasurementConfig.bins,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(Figure("explanations", "explanations.figure", "language.explanations"),),
    tables=("explanations", "rules"),
)
