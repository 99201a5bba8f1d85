"""Section "Planted truth": recurrence of known features (C34), and Song et al.'s synthetic data.

Samples are sums of planted units: single directions, and blocks of several dimensions. The section
tests whether latents of a block fail to recur while their span does, which factors decide that, and
whether recurrence can be predicted. It also puts published figures on synthetic data beside chance.
"""

from dataclasses import dataclass, replace

import numpy as np

from audit.analyses.planted.config import PlantedArmConfig
from audit.experiments.common.arms import evaluated_arm, results_of
from audit.experiments.common.declaration import Experiment, Figure
from audit.pipeline.graph.stage import Inputs, Stage
from audit.pipeline.results import Scalar
from audit.subjects.synthetic.config import PlantedConfig, SongSamplesConfig
from audit.training.config import SongConfig
from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig
from seedstability.similarity.config import ComparisonConfig

MEASUREMENTS = "audit.experiments.planted.measurements"
FACTORS = {
    "rank": ("one", "two", "four", "eight"),
    "noise": ("low", "middle", "high"),
    "samples": ("few", "some", "many"),
    "steps": ("few", "some", "many"),
    "latents": ("one", "two", "four"),
}
"""Factors, varied one at a time, and the names of their levels in addresses."""
_COMPARISON = ComparisonConfig(chance_draws=200, gauge_draws=20, permutations=0)
"""A chance level for 32 latents takes many draws, each of them cheap."""

_TRUTH = PlantedConfig()
_SONG_SAMPLES = SongSamplesConfig(samples=2048)
_SONG = SongConfig(learning_rate=1e-3, steps=3000)


THRESHOLD, STRICT = 0.7, 0.9
"""Cosines from which a latent recurs."""


@dataclass(frozen=True)
class PlantedSettings:
    """Settings of the section on planted truth."""

    truth: PlantedConfig = _TRUTH
    """The planted truth of the base configuration."""
    other_truth_seed: int = 1
    """Seed of the truth on which predictions are tested."""
    seeds: tuple[int, ...] = tuple(range(10))
    """Seeds of the base configuration."""
    few: int = 5
    """Number of seeds in other arms, from the first on."""
    latents_per_dimension: int = 1
    """Latents per planted dimension; singles count 1, blocks count their rank."""
    k: int = 2
    """Latents kept: the mean number of active units, 1.55, rounded up."""
    learning_rate: float = 3e-3
    """The best of 3e-4, 1e-3, 3e-3 and 1e-2 by explained variance, for one dictionary on the truth
    of seed 100, which no arm uses."""
    epochs: int = 5
    """Passes over the samples. Four times as many explained less than one more percentage point of
    the variance of that truth."""
    ranks: tuple[int, ...] = (1, 2, 4, 8)
    """Ranks of blocks; the number of latents follows the planted dimensions."""
    noises: tuple[float, ...] = (0.05, 0.2, 0.5)
    """Norms of the noise."""
    samples: tuple[int, ...] = (2048, 8192, 32768)
    """Numbers of samples, at the same number of steps."""
    lengths: tuple[int, ...] = (2, 5, 10)
    """Epochs, at the same number of samples."""
    widths: tuple[int, ...] = (1, 2, 4)
    """Latents per planted dimension."""
    classes: int = 4
    """Classes of units by frequency, of equal width in the logarithm."""
    song_samples: SongSamplesConfig = _SONG_SAMPLES
    """The first of Song et al.'s samples."""
    song: SongConfig = _SONG
    """Song et al.'s recipe with ten times the learning rate and a tenth of the steps."""
    song_moments: int = 10
    """Evenly spaced moments of that training at which dictionaries are compared with the truth."""
    relu_published: tuple[float, float, float] = (0.609, 0.620, 0.652)
    """Published figures for ReLU: between seeds, and lowest and highest with the truth."""
    topk_published: tuple[float, float, float] = (0.951, 0.951, 0.992)
    """Published figures for TopK, in the same order."""


paper = PlantedSettings()
# Equal levels are one stage: smoke has every address, but not every arm.
smoke = replace(
    paper,
    truth=replace(paper.truth, d=24, singles=12, blocks=3, samples=2048, heldout=512),
    seeds=(0, 1, 2),
    few=3,
    epochs=16,
    ranks=(1, 4, 4, 4),
    noises=(0.05, 0.05, 0.5),
    samples=(1024, 2048, 2048),
    lengths=(8, 16, 16),
    widths=(1, 1, 2),
    classes=2,
    song_samples=SongSamplesConfig(samples=256, heldout=256),
    song=replace(paper.song, steps=40, seeds=(42, 43, 44)),
)
PROFILES = {
    "paper": paper,
    "smoke": smoke,
    "full": replace(paper, song_samples=SongSamplesConfig(), song=SongConfig()),
}


def parts(settings: PlantedSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    base = {"base": _arm(settings, settings.truth)}
    arms = sweeps(settings)
    other_truth = replace(settings.truth, seed=settings.other_truth_seed)
    predicted = {"fitted": arms["rank"], "judged": _by_rank(settings, other_truth)}
    return {
        "blocks": _measure("blocks", base, settings),
        "singles": _measure("singles", base, settings),
        "quality": _measure("quality", base, settings),
        "frequency": _measure("frequency", base, settings),
        "sweeps": _measure("sweeps", {"arms": arms}, settings),
        "prediction": _measure("prediction", predicted, settings),
        "song": Stage(
            "planted/song/measured",
            "audit.experiments.planted.song:song",
            settings,
            _song(settings),
        ),
    }


def values(settings: PlantedSettings) -> dict[str, tuple[float, ...]]:
    """The value of each level of each factor."""
    return {
        "rank": settings.ranks,
        "noise": settings.noises,
        "samples": settings.samples,
        "steps": settings.lengths,
        "latents": settings.widths,
    }


def sweeps(settings: PlantedSettings) -> dict[str, dict[str, Stage]]:
    """Arms by factor and level."""
    truth = settings.truth
    steps = truth.samples * settings.epochs
    made = {
        "noise": [_arm(settings, replace(truth, noise=noise)) for noise in settings.noises],
        "samples": [
            _arm(settings, replace(truth, samples=samples), epochs=steps // samples)
            for samples in settings.samples
        ],
        "steps": [_arm(settings, truth, epochs=epochs) for epochs in settings.lengths],
        "latents": [_arm(settings, truth, width=width) for width in settings.widths],
    }
    return {"rank": _by_rank(settings, truth)} | {
        factor: dict(zip(FACTORS[factor], arms, strict=True)) for factor, arms in made.items()
    }


def _by_rank(settings: PlantedSettings, truth: PlantedConfig) -> dict[str, Stage]:
    arms = [_arm(settings, replace(truth, rank=rank)) for rank in settings.ranks]
    return dict(zip(FACTORS["rank"], arms, strict=True))


def _arm(settings: PlantedSettings, truth: PlantedConfig, epochs: int = 0, width: int = 0) -> Stage:
    """Train on a planted truth and compare; equal arms of different factors are one stage.

    The base configuration has more seeds than the other arms.
    """
    width, epochs = width or settings.latents_per_dimension, epochs or settings.epochs
    base = (settings.truth, settings.epochs, settings.latents_per_dimension)
    seeds = settings.seeds if (truth, epochs, width) == base else settings.seeds[: settings.few]
    dictionary = replace(
        TOPK,
        n_latents=width * (truth.singles + truth.blocks * truth.rank),
        k=settings.k,
        learning_rate=settings.learning_rate,
        epochs=epochs,
    )
    name = (
        f"truth{truth.seed}_rank{truth.rank}_noise{truth.noise}_samples{truth.samples}"
        f"_epochs{epochs}_width{width}_seeds{len(seeds)}"
    )
    return Stage(
        f"planted/{name}",
        "audit.analyses.planted.stages:planted_arm",
        PlantedArmConfig(truth, TrainingConfig(dictionary, seeds)),
    )


def _song(settings: PlantedSettings) -> dict[str, Stage | Inputs]:
    """Song et al.'s samples, and dictionaries of each of their architectures."""
    data = Stage(
        "planted/song/samples", "audit.subjects.synthetic.song:song_samples", settings.song_samples
    )
    moments = settings.song_moments
    steps = tuple(settings.song.steps * i // moments for i in range(moments + 1))
    base = replace(settings.song, trace_steps=steps)
    recipes = {
        "relu": replace(base, architecture="relu"),
        "topk": replace(base, architecture="topk"),
        "double": replace(base, architecture="topk", k=2 * base.k),
    }
    arms = {}
    for name, recipe in recipes.items():
        train = Stage(
            f"planted/song/{name}", "audit.training.song:song", recipe, {"activations": data}
        )
        dictionary = DictionaryConfig(recipe.architecture, recipe.n_latents, recipe.k)
        arms[name] = evaluated_arm(f"planted/song/{name}", data, train, dictionary, _COMPARISON)
    return {
        "samples": data,
        "training": {name: arm.train for name, arm in arms.items()},
        "arms": results_of(arms),
    }


def _measure(part: str, inputs: Inputs, config: PlantedSettings) -> Stage:
    return Stage(f"planted/{part}", f"{MEASUREMENTS}:{part}", config, inputs)


def printed(config: PlantedSettings) -> dict:
    """Settings that the text mentions."""
    truth, song = config.truth, config.song
    low, high = truth.frequencies
    spaced = [np.geomspace(low, high, count) for count in (truth.singles, truth.blocks)]
    return {
        "d": truth.d,
        "singles": truth.singles,
        "blocks": truth.blocks,
        "rank": truth.rank,
        "dimensions": truth.singles + truth.blocks * truth.rank,
        "frequency_low": Scalar(100 * low, 1, "%", tolerance=0.0),
        "frequency_high": Scalar(100 * high, 0, "%", tolerance=0.0),
        "active": Scalar(float(np.concatenate(spaced).sum()), 2),
        "noise": Scalar(truth.noise, 2, tolerance=0.0),
        "samples": truth.samples,
        "seeds": len(config.seeds),
        "few": config.few,
        "k": config.k,
        "epochs": config.epochs,
        "threshold": Scalar(THRESHOLD, 1, tolerance=0.0),
        "strict": Scalar(STRICT, 1, tolerance=0.0),
        "song_latents": song.n_latents,
        "song_d": config.song_samples.d,
        "song_active": config.song_samples.active,
        "song_double": 2 * song.k,
        "song_samples": config.song_samples.samples,
        "song_steps": song.steps,
        "song_seeds": len(song.seeds),
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(Figure("planted", "planted", "latents.planted"),),
    tables=("planted", "planted_song"),
)
