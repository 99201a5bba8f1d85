"""Section "Planted truth": recurrence of known features (C34), and Song et al.'s synthetic data.

Samples are sums of planted units: single directions, and blocks of several dimensions. The section
tests whether latents of a block fail to recur while their span does, which factors decide that, and
whether recurrence can be predicted. It also puts published figures on synthetic data beside chance.
"""

from dataclasses import dataclass, replace

from audit.analyses.planted.config import PlantedArmConfig
from audit.evaluation.config import EvaluationConfig
from audit.pipeline.graph.stage import Stage
from audit.subjects.synthetic.planted_config import PlantedConfig
from audit.subjects.synthetic.song_config import SongSamplesConfig
from audit.training.song_config import SongConfig
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
SONG = ("relu", "topk", "double")
"""Song et al.'s two architectures, and TopK with k twice the number of active directions."""


_TRUTH = PlantedConfig()
_SONG_SAMPLES = SongSamplesConfig(samples=2048)
_SONG = SongConfig(learning_rate=1e-3, steps=3000)


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
    base = {"base": _arm(settings.truth, settings, seeds=settings.seeds)}
    arms = sweeps(settings)
    others = _of_other_truth(settings)
    ranks = {f"fitted__{level}": arms[f"rank__{level}"] for level in FACTORS["rank"]}
    other_truth = {f"judged__{level}": arm for level, arm in others.items()}
    return {
        "blocks": _measure("blocks", base, settings),
        "singles": _measure("singles", base, settings),
        "quality": _measure("quality", base, settings),
        "frequency": _measure("frequency", base, settings),
        "sweeps": _measure("sweeps", arms, settings),
        "prediction": _measure("prediction", ranks | other_truth, settings),
        "song": Stage(
            "planted/song/measured",
            "audit.experiments.planted.song:song",
            settings,
            _song(settings),
        ),
        "settings": _measure("settings", {}, settings),
    }


def sweeps(settings: PlantedSettings) -> dict[str, Stage]:
    """One arm per level of each factor, named `factor__level`."""
    truth = settings.truth
    steps = truth.samples * settings.epochs
    made = {
        "rank": [_arm(replace(truth, rank=rank), settings) for rank in settings.ranks],
        "noise": [_arm(replace(truth, noise=noise), settings) for noise in settings.noises],
        "samples": [
            _arm(replace(truth, samples=samples), settings, epochs=steps // samples)
            for samples in settings.samples
        ],
        "steps": [_arm(truth, settings, epochs=epochs) for epochs in settings.lengths],
        "latents": [_arm(truth, settings, width=width) for width in settings.widths],
    }
    # The base configuration has more seeds than the other levels, and all of them are used.
    base = _arm(truth, settings, seeds=settings.seeds)
    shared = replace(base.config.training, seeds=settings.seeds[: settings.few])
    alike = replace(base.config, training=shared)
    return {
        f"{factor}__{level}": base if arm.config == alike else arm
        for factor, levels in FACTORS.items()
        for level, arm in zip(levels, made[factor], strict=True)
    }


def _of_other_truth(settings: PlantedSettings) -> dict[str, Stage]:
    truth = replace(settings.truth, seed=settings.other_truth_seed)
    return {
        level: _arm(replace(truth, rank=rank), settings)
        for level, rank in zip(FACTORS["rank"], settings.ranks, strict=True)
    }


def _arm(
    truth: PlantedConfig,
    settings: PlantedSettings,
    seeds: tuple[int, ...] = (),
    epochs: int | None = None,
    width: int | None = None,
) -> Stage:
    """Train on a planted truth and compare; equal arms of different factors are one stage."""
    width, epochs = width or settings.latents_per_dimension, epochs or settings.epochs
    training = TrainingConfig(
        _dictionary(truth, settings, width, epochs), seeds or settings.seeds[: settings.few]
    )
    name = (
        f"truth{truth.seed}_rank{truth.rank}_noise{truth.noise}_samples{truth.samples}"
        f"_epochs{epochs}_width{width}_seeds{len(training.seeds)}"
    )
    return Stage(
        f"planted/{name}",
        "audit.analyses.planted.stages:planted_arm",
        PlantedArmConfig(truth, training),
    )


def _dictionary(
    truth: PlantedConfig, settings: PlantedSettings, width: int, epochs: int
) -> DictionaryConfig:
    return replace(
        TOPK,
        n_latents=width * (truth.singles + truth.blocks * truth.rank),
        k=settings.k,
        learning_rate=settings.learning_rate,
        epochs=epochs,
    )


def _song(settings: PlantedSettings) -> dict[str, Stage]:
    """Stages of Song et al.'s set-up: samples, and training to comparison per architecture."""
    data = Stage(
        "planted/song/samples", "audit.subjects.synthetic.song:song_samples", settings.song_samples
    )
    inputs = {"samples": data}
    moments = settings.song_moments
    steps = tuple(settings.song.steps * i // moments for i in range(moments + 1))
    base = replace(settings.song, trace_steps=steps)
    recipes = {
        "relu": replace(base, architecture="relu"),
        "topk": replace(base, architecture="topk"),
        "double": replace(base, architecture="topk", k=2 * base.k),
    }
    for name, recipe in recipes.items():
        train = Stage(
            f"planted/song/{name}",
            "audit.training.song:song",
            recipe,
            {"activations": data},
        )
        evaluate = Stage(
            f"planted/song/{name}/evaluate",
            "audit.evaluation.stages:evaluate",
            EvaluationConfig(DictionaryConfig(recipe.architecture, recipe.n_latents, recipe.k)),
            {"dictionaries": train, "activations": data},
        )
        compare = Stage(
            f"planted/song/{name}/compare",
            "audit.analyses.similarity:compare",
            _COMPARISON,
            {"dictionaries": train, "evaluation": evaluate, "activations": data},
        )
        inputs |= {
            f"{name}__training": train,
            f"{name}__evaluation": evaluate,
            f"{name}__comparison": compare,
        }
    return inputs


def _measure(part: str, inputs: dict[str, Stage], config: PlantedSettings) -> Stage:
    return Stage(f"planted/{part}", f"{MEASUREMENTS}:{part}", config, inputs)
