"""Section "Many seeds": recurrence over twenty seeds (C27), and its prediction from three.

The share of latents that recur in all other seeds falls with the number of seeds by itself, and so
does the share that recurs in none. The parameters of a beta-binomial law do not depend on that
number. Three seeds, as many as the fifth report trained, determine the law; it is fitted to three
of our seeds and tested on all others.
"""

from dataclasses import dataclass, replace

from audit.analyses.config import RecurrenceConfig
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage
from audit.pipeline.results import Scalar

MEASUREMENTS = "audit.experiments.seeds.measurements"


@dataclass(frozen=True)
class SeedsSettings:
    """Settings of the section on many seeds."""

    base: language.LanguageSettings = language.PROFILES["paper"]
    """Base configuration, with all its seeds."""
    others: tuple[int, int, int] = (4, 9, 19)
    """Numbers of other seeds for which shares are given: of five, ten and twenty seeds."""
    threshold: float = 0.7
    """Cosine from which a latent recurs in another seed."""
    thresholds: tuple[float, ...] = (0.5, 0.7, 0.9)
    """Thresholds for which the stable share is given."""
    reported_unshared: tuple[float, float] = (0.47, 0.35)
    """Shares of latents that the fifth report finds unshared with one other seed, and with two."""
    few: int = 3
    """Seeds from which the law is extrapolated, as many as the fifth report has."""
    draws: int = 200
    """Draws from the fitted law, which give the misfit that sampling alone would cause."""
    seed: int = 0
    """Seed of these draws."""


paper = SeedsSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(paper, base=language.PROFILES["smoke"], others=(2, 3, 4), draws=20),
    "full": replace(paper, base=language.PROFILES["full"]),
}


def parts(settings: SeedsSettings) -> dict[str, Stage]:
    """Stages of each part of the section; two of them read one recurrence table."""
    table = {"recurrence": _recurrence(settings)}
    return {
        part: Stage(f"seeds/{part}", f"{MEASUREMENTS}:{part}", settings, table)
        for part in ("votes", "prediction")
    } | {
        "report": Stage("seeds/report", f"{MEASUREMENTS}:report", settings),
    }


def _recurrence(settings: SeedsSettings) -> Stage:
    base = language.base_arm(settings.base)
    return Stage(
        "seeds/recurrence",
        "audit.analyses.recurrence:recurrence",
        RecurrenceConfig(settings.threshold),
        {
            "dictionaries": base.train,
            "evaluation": base.evaluate,
            "activations": base.data,
        },
    )


def places(config: SeedsSettings) -> list[tuple[str, int]]:
    """Names of the numbers of other seeds that the text mentions."""
    return list(zip(("few", "more", "all"), config.others, strict=True))


def printed(config: SeedsSettings) -> dict:
    """Settings that the text mentions."""
    return {
        "seeds": len(config.base.seeds),
        "few": config.few,
        "threshold": Scalar(config.threshold, 1, tolerance=0.0),
        "latents": config.base.n_latents,
        **{f"others_{place}": count for place, count in places(config)},
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(Figure("seeds", "seeds", "language.seeds"),),
    tables=("seeds",),
)
