"""Section "Pooling": one dictionary from several seeds, at equal budget (C35).

The seeds of the base configuration form disjoint groups; the latents of each group are pooled and
fine-tuned. The other arms are single seeds, single seeds trained for as many steps as a whole pool,
the mean of matched latents, and latents drawn from the pool at random.
"""

from dataclasses import dataclass, replace
from typing import Literal

from audit.evaluation.config import RecoveryConfig
from audit.experiments.common.arms import Arm, arm, evaluated_arm, results_of
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Inputs, Stage
from audit.pipeline.results import Scalar
from audit.subjects.language_model.config import HUB, weights_sha256
from audit.subjects.synthetic.config import PlantedConfig
from audit.training.config import FinetuneConfig, PoolingConfig
from seedstability.dictionaries.config import DictionaryConfig, TrainingConfig
from seedstability.similarity.config import ComparisonConfig

MEASUREMENTS = "audit.experiments.pooling.measurements"
CHOICES: tuple[Literal["votes", "average", "drawn"], ...] = ("votes", "average", "drawn")

TRUTH = PlantedConfig()


@dataclass(frozen=True)
class PoolingSettings:
    """Settings of the section on pooling."""

    base: language.LanguageSettings = language.paper
    """Base configuration of the language model."""
    seeds: tuple[int, ...] = language.paper.seeds
    """Seeds that are pooled."""
    group_size: int = 4
    """Seeds per pool. Twenty seeds make five pools, the fewest that give an interval."""
    epochs: int = 4
    """Passes of fine-tuning of a pooled dictionary, as many as the training of each seed."""
    cosine: float = 0.7
    """Smallest mean cosine at which clusters are joined, the threshold of the whole paper."""
    contexts: int = 50
    """Held-out contexts on which the model's loss is measured."""
    planted: PlantedConfig = TRUTH
    """The planted truth of the second subject."""
    planted_latents: int = 128
    """Latents on planted truth: one and a half per planted direction."""
    planted_k: int = 4
    """Latents kept per sample on planted truth, where two features are active on average."""


paper = PoolingSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        base=language.PROFILES["smoke"],
        seeds=tuple(range(10)),
        group_size=2,
        epochs=1,
        contexts=8,
        planted=PlantedConfig(d=16, singles=8, blocks=2, rank=2, samples=2048, heldout=512),
        planted_latents=24,
    ),
    "full": replace(paper, base=language.PROFILES["full"], seeds=language.PROFILES["full"].seeds),
}


def parts(settings: PoolingSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    return {
        "language": _measure("language", _language(settings), settings),
        "planted": _measure("planted", _planted(settings), settings),
    }


def _language(settings: PoolingSettings) -> Inputs:
    base, dictionary = settings.base, language.dictionary(settings.base)
    pool, arms = _arms(settings, "language", _singles(settings), dictionary, base.tokens)
    recovery = RecoveryConfig(
        dictionary,
        base.model,
        weights_sha256(base.model),
        base.hook,
        settings.contexts,
        allow_download=base.model in HUB,
    )
    losses = {
        name: Stage(
            f"pooling/language/{name}/recovery",
            "audit.evaluation.recovery:loss_recovered",
            recovery,
            {"dictionaries": each.train, "activations": each.data},
        )
        for name, each in arms.items()
    }
    return {"pool": pool, "arms": results_of(arms), "losses": losses}


def _singles(settings: PoolingSettings) -> Arm:
    """Single seeds; the base configuration's own stages if these are its seeds."""
    base = settings.base
    trained = language.base_arm(base)
    if settings.seeds == base.seeds:
        return trained
    training = TrainingConfig(language.dictionary(base), settings.seeds, samples=base.tokens)
    return arm("pooling/language/single", trained.data, training, _COMPARISON)


def _planted(settings: PoolingSettings) -> Inputs:
    data = Stage(
        "pooling/planted/truth", "audit.subjects.synthetic.planted:planted", settings.planted
    )
    dictionary = language.dictionary(
        settings.base, n_latents=settings.planted_latents, k=settings.planted_k
    )
    training = TrainingConfig(dictionary, settings.seeds)
    single = arm("pooling/planted/single", data, training, _COMPARISON)
    pool, arms = _arms(settings, "planted", single, dictionary)
    return {
        "pool": pool,
        "truth": data,
        "arms": results_of(arms),
        "dictionaries": {name: each.train for name, each in arms.items()},
    }


_COMPARISON = ComparisonConfig(permutations=0)


def _arms(
    settings: PoolingSettings,
    subject: str,
    single: Arm,
    dictionary: DictionaryConfig,
    samples: int | None = None,
) -> tuple[Stage, dict[str, Arm]]:
    """Pools by votes, and all arms of one subject; all but `single` have a dictionary per pool."""
    data = single.data
    pools = tuple(range(len(settings.seeds) // settings.group_size))
    # As many steps as all seeds of a pool together, and the fine-tuning after them.
    epochs = settings.group_size * dictionary.epochs + settings.epochs
    long = TrainingConfig(replace(dictionary, epochs=epochs), pools, samples=samples)
    finetuned = TrainingConfig(replace(dictionary, epochs=settings.epochs), pools, samples=samples)
    arms = {"single": single, "long": arm(f"pooling/{subject}/long", data, long, _COMPARISON)}
    pooled = {}
    for choose in CHOICES:
        name = f"pooling/{subject}/{choose}"
        pooled[choose] = Stage(
            f"{name}/pool",
            "audit.training.pooling:pool",
            PoolingConfig(dictionary, settings.group_size, choose, settings.cosine),
            {"dictionaries": single.train, "activations": data},
        )
        train = Stage(
            f"{name}/train",
            "audit.training.finetune:finetune",
            FinetuneConfig(finetuned),
            {"dictionaries": pooled[choose], "activations": data},
        )
        arms[choose] = evaluated_arm(name, data, train, dictionary, _COMPARISON)
    votes = pooled["votes"]
    arms["untrained_on"] = evaluated_arm(votes.name, data, votes, dictionary, _COMPARISON)
    return votes, arms


def _measure(part: str, inputs: Inputs, config: PoolingSettings) -> Stage:
    return Stage(f"pooling/{part}", f"{MEASUREMENTS}:{part}", config, inputs)


def printed(config: PoolingSettings) -> dict:
    """Settings that the text mentions."""
    base = config.base
    pools = len(config.seeds) // config.group_size
    return {
        "seeds": len(config.seeds),
        "group_size": config.group_size,
        "pools": pools,
        "epochs": config.epochs,
        "long_epochs": config.group_size * base.epochs + config.epochs,
        "cosine": Scalar(config.cosine, 1, tolerance=0.0),
        "latents": base.n_latents,
        "contexts": config.contexts,
        "planted_latents": config.planted_latents,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(Figure("pooling", "pooling", "latents.pooling"),),
    tables=("pooling",),
)
