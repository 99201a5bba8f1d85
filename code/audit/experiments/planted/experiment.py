"""Section "Planted truth" (claim C34, and the synthetic set-up of Song et al.).

Samples are made of single directions and of blocks of several dimensions, known to us. Do latents
of blocks fail to come back while the space that they span does, what decides it, and can it be
foretold? And what do the public figures on synthetic data look like beside chance?
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
"""What is varied, one at a time, and how its levels are called in addresses."""
_COMPARISON = ComparisonConfig(chance_draws=200, gauge_draws=20, permutations=0)
"""Dictionaries of 32 latents take many draws for a chance level, and each costs next to nothing."""
SONG = ("relu", "topk", "double")
"""The set-up's two architectures, and TopK told twice the number of active directions."""


_TRUTH = PlantedConfig()
_SONG_SAMPLES = SongSamplesConfig(samples=2048)
_SONG = SongConfig(learning_rate=1e-3, steps=3000)


@dataclass(frozen=True)
class PlantedSettings:
    """What varies in this section."""

    truth: PlantedConfig = _TRUTH
    """What the centre is made of."""
    other_truth_seed: int = 1
    """Draws the truth on which predictions are judged."""
    seeds: tuple[int, ...] = tuple(range(10))
    """One dictionary of the centre for each."""
    few: int = 5
    """Seeds elsewhere: the first so many."""
    latents_per_dimension: int = 1
    """Latents for each planted dimension: as many as singles and the ranks of blocks add up to."""
    k: int = 2
    """Latents kept: the mean number of active units, 1.55, rounded up."""
    learning_rate: float = 3e-3
    """The best of 3e-4, 1e-3, 3e-3 and 1e-2 by explained variance, on one dictionary of a truth
    drawn from seed 100, which nothing else uses."""
    epochs: int = 5
    """Passes over the samples; four times as many explained less than one more percentage point of
    the variance of that truth."""
    ranks: tuple[int, ...] = (1, 2, 4, 8)
    """Ranks of blocks; there are then as many latents as planted dimensions again."""
    noises: tuple[float, ...] = (0.05, 0.2, 0.5)
    """Lengths of the noise."""
    samples: tuple[int, ...] = (2048, 8192, 32768)
    """Samples, at the same number of steps."""
    lengths: tuple[int, ...] = (2, 5, 10)
    """Epochs, at the same samples."""
    widths: tuple[int, ...] = (1, 2, 4)
    """Latents for each planted dimension."""
    classes: int = 4
    """Classes of frequency, of equal width in the logarithm, into which units are put."""
    song_samples: SongSamplesConfig = _SONG_SAMPLES
    """The first of Song et al.'s samples."""
    song: SongConfig = _SONG
    """Their recipe with ten times the learning rate and a tenth of the steps."""
    song_moments: int = 10
    """Moments of that training, evenly spaced, at which dictionaries are held against the truth."""
    relu_published: tuple[float, float, float] = (0.609, 0.620, 0.652)
    """What they print for ReLU: between seeds, and the lowest and the highest with the truth."""
    topk_published: tuple[float, float, float] = (0.951, 0.951, 0.992)
    """The same for TopK."""


paper = PlantedSettings()
# Levels that are alike are one stage: smoke asks for every address, not for every arm.
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
    """The parts of the section, each with the stages it measures."""
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
    """One arm for each level of each factor, as `factor__level`."""
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
    # The centre has more seeds than the other levels, and all of them count.
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
    """Named after all that any arm varies, so that an arm of two factors is one stage."""
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
    """Data, and for each architecture its training, evaluation and comparison."""
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
