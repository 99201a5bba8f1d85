"""Section "Can unshared latents be explained?": scores without a language model (C46, C49).

An explanation is a short rule about tokens, learnt from the text in which a latent fires most
strongly and scored on other text, as the fifth report scores what a language model says. The
hook point and the dictionaries are those of the section on alignment at one size, with seeds
enough for intervals.
"""

from dataclasses import dataclass, replace

from audit.evaluation.explanation.config import AlignmentConfig, ExplanationConfig
from audit.experiments.alignment import experiment as alignment
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import weights_sha256

MEASUREMENTS = "audit.experiments.explanations.measurements"
STAGES = "audit.evaluation.explanation.stages"
SIZE = alignment.PLACES.index("small")
"""The dictionaries that are explained: sixteen latents for each dimension in the paper profile."""


@dataclass(frozen=True)
class ExplanationsSettings:
    """What varies in this section."""

    aligned: alignment.AlignmentSettings = alignment.PROFILES["paper"]
    """The section on alignment: model, hook point, dictionaries and their seeds."""
    heldout_contexts: int = 1200
    """Held-out contexts, half to learn from and half to score on."""
    latents: int = 200
    """Latents explained of each dictionary."""
    scored: int = 100
    """Active and inactive windows a latent is scored on, the report's."""

    @property
    def n_latents(self) -> int:
        """Latents of a dictionary."""
        return self.aligned.sizes[SIZE]


@dataclass(frozen=True)
class ExplanationsMeasurementConfig:
    """What a measuring stage has to know."""

    n_latents: int
    """Latents of a dictionary."""
    heldout_contexts: int
    """Held-out contexts."""
    latents: int
    """Latents explained of each dictionary, at most."""
    scored: int
    """Active and inactive windows a latent is scored on."""
    seeds: int
    """Dictionaries."""
    threshold: float = 0.7
    """Alignment above which a latent counts as shared, the report's."""
    bins: int = 10
    """Bins of a figure."""


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
    """The parts of the section, each with the stages it measures."""
    train = alignment.size_arm(settings.aligned, settings.n_latents).train
    measured = ExplanationsMeasurementConfig(
        settings.n_latents,
        settings.heldout_contexts,
        settings.latents,
        settings.scored,
        len(train.config.seeds),
    )
    explained = {"explained": _explained(settings, train)}
    both = explained | {"aligned": _aligned(train)}
    inputs = {
        "scores": explained,
        "alignment": both,
        "frequency": explained,
        "rules": both,
        "figure": both,
        "settings": {},
    }
    return {
        part: Stage(f"explanations/{part}", f"{MEASUREMENTS}:{part}", measured, needed)
        for part, needed in inputs.items()
    }


def _explained(settings: ExplanationsSettings, train: Stage) -> Stage:
    model = settings.aligned.model
    # Far more held-out text than elsewhere, and of training tokens no more than have to be.
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
