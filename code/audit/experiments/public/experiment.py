"""Section "A public model": the model, and stability over its layers, sizes, tokens and seeds.

Settings are those of the sections on the small model with another model, other hook points and
sizes; the same stages and the same measuring functions give the same addresses below `public`. Its
latents have an experiment of their own, `public_latents`.

The arms belong to profile `long`: they are locked once, printed with a mark, and rerun when asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.experiments.public.base import HOOKS, SHALLOW, base, of_public, smoke
from audit.experiments.seeds import experiment as seeds
from audit.experiments.tokens import experiment as tokens
from audit.pipeline.graph.stage import Stage
from audit.pipeline.results import Scalar
from audit.subjects.language_model.config import (
    OURS,
    PUBLIC,
    LossesConfig,
    MassiveConfig,
    weights_sha256,
)

MEASUREMENTS = "audit.experiments.public.measurements"
SUBJECTS = "audit.subjects.language_model"


@dataclass(frozen=True)
class PublicSettings:
    """Settings of the sections that the public model has too, and of its description."""

    tokens: tokens.TokensSettings
    """Layers, sizes and tokens; its base configuration is the section's."""
    seeds: seeds.SeedsSettings
    """Recurrence over all seeds of the base configuration, and its prediction from three."""
    passes: tuple[int, ...]
    """Passes over the base configuration's tokens, besides its own number: more steps, and no more
    tokens."""
    hooks: Mapping[str, str]
    """Hook points by name, at which massive activations are looked for."""
    described_contexts: int = 256
    """Held-out contexts of each domain for losses, and training contexts for norms."""


long = PublicSettings(
    tokens=tokens.TokensSettings(
        base=base,
        first_hook=HOOKS["first"],
        last_hook=HOOKS["last"],
        sizes=(128, 512),
        large=8192,
        epochs_distinct=(1_024, 8_192, 32_768, 524_288),
        report_model=PUBLIC,
        report_hooks=(HOOKS["first"], HOOKS["middle"], HOOKS["last"]),
    ),
    seeds=seeds.SeedsSettings(base=base, others=(2, 4, 9)),
    passes=(1, 16),
    hooks=HOOKS,
)
_tokens = tokens.PROFILES["smoke"]
PROFILES = {
    # Five of the thirty blocks, so that every commit tests the code.
    "smoke": replace(
        long,
        tokens=replace(
            _tokens,
            base=smoke,
            first_hook=SHALLOW["first"],
            last_hook=SHALLOW["last"],
            # Two beyond the base configuration's tokens, as the text has it.
            epochs_distinct=(*_tokens.epochs_distinct, 6_144),
            report_model=PUBLIC,
            report_hooks=(SHALLOW["first"], SHALLOW["middle"], SHALLOW["last"]),
        ),
        seeds=replace(seeds.PROFILES["smoke"], base=smoke),
        passes=(2, 4),
        hooks=SHALLOW,
        described_contexts=16,
    ),
    "long": long,
}


def parts(settings: PublicSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    voted = seeds.parts(settings.seeds)
    found = {
        **tokens.parts(settings.tokens),
        "passes": tokens.passes(settings.tokens, settings.passes),
        "extrapolation": tokens.extrapolation(settings.tokens),
        **{part: voted[part] for part in ("votes", "prediction")},
    }
    return {"subject": _subject(settings)} | of_public(found)


def _subject(settings: PublicSettings) -> Stage:
    """What the public model is, beside the small one."""
    texts = {"small": language.text(OURS), "public": language.text(PUBLIC)}
    few = settings.described_contexts
    losses = {
        name: Stage(
            f"public/losses/{name}",
            f"{SUBJECTS}.losses:losses",
            LossesConfig(model, weights_sha256(model), few),
            {"text": texts[name]},
        )
        for name, model in (("small", OURS), ("public", PUBLIC))
    }
    hooks = tuple(settings.hooks.values())
    massive = Stage(
        "public/massive",
        f"{SUBJECTS}.massive:massive",
        MassiveConfig(PUBLIC, weights_sha256(PUBLIC), hooks, few),
        {"text": texts["public"]},
    )
    return Stage(
        "public/subject",
        f"{MEASUREMENTS}:subject",
        SubjectNames(tuple(settings.hooks)),
        {"texts": texts, "losses": losses, "statistics": language.statistics(), "massive": massive},
    )


@dataclass(frozen=True)
class SubjectNames:
    """Settings of the stage that describes the model."""

    hooks: tuple[str, ...]
    """Names of the hook points, in the order in which they were read."""


def printed(settings: PublicSettings) -> dict:
    """Settings that the text mentions."""
    shown = settings.tokens.base
    return {
        "tokens": tokens.printed(settings.tokens),
        "seeds": seeds.printed(settings.seeds),
        "latents": shown.n_latents,
        "k": shown.k,
        "rate": Scalar(shown.learning_rate, 4, tolerance=0.0),
    }


BOTH = {
    f"{model}_{sweep}": f"{root}.{part}.{sweep}"
    for model, root in (("small", "tokens"), ("public", "public"))
    for part, sweep in (
        ("amounts", "equal_epochs"),
        ("amounts", "equal_seen"),
        ("sizes", "equal_tokens"),
    )
}
"""The sweeps that one figure shows of both models."""
EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("public_amounts", "public.amounts", "language.tokens"),
        Figure("both_models", BOTH, "language.both_models"),
    ),
    tables=("public", "public_points"),
)
