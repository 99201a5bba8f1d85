"""Section "Many seeds": what twenty seeds say that few cannot (claim C27), and a prediction.

The share of latents that all other seeds have falls with the number of seeds by itself, and so does
the share that none has. A beta-binomial law is freed from that. Three seeds, as many as the fifth
report trained, already fix the law; it is fitted on three of ours and held against all the others.
"""

from dataclasses import dataclass, replace

from audit.analyses.partners_config import RecurrenceConfig
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage

MEASUREMENTS = "audit.experiments.seeds.measurements"


@dataclass(frozen=True)
class SeedsSettings:
    """What varies in this section."""

    base: language.LanguageSettings = language.PROFILES["paper"]
    """The dictionaries: all seeds of the centre."""
    others: tuple[int, int, int] = (4, 9, 19)
    """Numbers of other seeds at which shares are given: with five, ten and twenty seeds."""
    threshold: float = 0.7
    """Cosine from which a latent counts as found again."""
    thresholds: tuple[float, ...] = (0.5, 0.7, 0.9)
    """Those at which the stable share is given beside it."""
    reported_unshared: tuple[float, float] = (0.47, 0.35)
    """Shares of latents that the fifth report finds unshared with one other seed, and with two."""
    few: int = 3
    """Seeds that the prediction is made from, as many as that report has."""
    draws: int = 200
    """Sets of votes drawn from a fitted law, to see how well it could fit at best."""
    seed: int = 0
    """Draws them."""


paper = SeedsSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(paper, base=language.PROFILES["smoke"], others=(2, 3, 4), draws=20),
    "full": replace(paper, base=language.PROFILES["full"]),
}


def parts(settings: SeedsSettings) -> dict[str, Stage]:
    """The parts of the section; all read one table of which latent comes back where."""
    table = {"recurrence": _recurrence(settings)}
    return {
        part: Stage(f"seeds/{part}", f"{MEASUREMENTS}:{part}", settings, table)
        for part in ("votes", "prediction")
    } | {
        "report": Stage("seeds/report", f"{MEASUREMENTS}:report", settings),
        "settings": Stage("seeds/settings", f"{MEASUREMENTS}:settings", settings),
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
            "activations": base.train.inputs["activations"],
        },
    )
