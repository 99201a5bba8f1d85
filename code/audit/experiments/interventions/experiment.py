"""Section "What raises stability": one table, one protocol, one arm an intervention.

Each arm changes plain training in one respect, on our language model and on a planted truth,
with as many steps and seeds as all others. Where seeds share information, or are drawn together,
they agree for that reason too; so each arm is also compared with what its seeds share before
training, against independent plain dictionaries of other seeds, and against the truth.
"""

from dataclasses import dataclass, replace
from typing import Literal

from audit.analyses.config import ReferenceConfig, TransportConfig
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Inputs, Stage
from audit.pipeline.results import Scalar
from audit.subjects.synthetic.config import PlantedConfig
from audit.training.variants.config import FamilyConfig, VariantConfig
from seedstability.dictionaries.config import JUMPRELU, DictionaryConfig, TrainingConfig
from seedstability.similarity.config import ComparisonConfig

HERE = "audit.experiments.interventions.measurements"
Subject = Literal["language", "planted"]
SUBJECTS: tuple[Subject, ...] = ("language", "planted")
_PLANTED = PlantedConfig()


@dataclass(frozen=True)
class CalibratedWeights:
    """What had to be fitted to a subject: with seeds from 1000 on, which no arm has, and by
    explained variance and L0 alone, before any similarity was computed."""

    relu_l1: float
    """L1 at which ReLU explains as much as plain TopK."""
    jumprelu_l0_weight: float
    """Weight at which JumpReLU has the L0 of plain TopK."""
    orthogonality: float
    """Largest of 0.001, 0.01, 0.1 and 1 that costs at most 0.01 of explained variance."""
    consistency: float
    """The same among 0.01, 0.1, 1 and 10, five seeds drawn together."""
    mfr: float
    """The same."""
    weights_rate: float
    """Share of the learning rate for the weights of archetypal rows that explains most, of 1, 0.1,
    0.01 and 0.001."""
    l2: float
    """The same as `orthogonality`."""


@dataclass(frozen=True)
class Arm:
    """One intervention, as the measuring stage has to know it."""

    name: str
    """Part of its addresses."""
    title: str
    """Its name in texts and figures."""
    shared: str = ""
    """What its seeds share besides the data; empty where nothing."""
    drawn: bool = True
    """Whether the initialization is drawn, independent of the data."""
    own: str = ""
    """The arm that differs in sharing alone, whose seeds have their own."""


ARMS = (
    Arm("plain", "plain"),
    Arm("same_order", "shared order", "order"),
    Arm("same_start", "shared initialization", "start"),
    Arm("data_points", "init. at own samples", drawn=False),
    Arm("data_points_shared", "init. at shared samples", "samples", False, "data_points"),
    Arm("centroids_shared", "init. at shared centroids", "centroids", False),
    Arm("archetypal", "archetypal, own centroids", drawn=False),
    Arm("archetypal_shared", "archetypal, shared centroids", "centroids", False, "archetypal"),
    Arm("untied", "encoder untied at init."),
    Arm("tied", "encoder tied always"),
    Arm("decay", "rate warmed up, decayed"),
    Arm("cosine", "rate falls by a cosine"),
    Arm("longer", "longer training"),
    Arm("auxk", "AuxK for silent latents"),
    Arm("resampling", "silent latents resampled"),
    Arm("falling_k", "k falls"),
    Arm("temperature", "temperature falls"),
    Arm("batch_topk", "BatchTopK"),
    Arm("relu", "ReLU"),
    Arm("jumprelu", "JumpReLU"),
    Arm("orthogonality", "orthogonality"),
    Arm("l2", "L2 penalty on encoder"),
    Arm("consistency", "consistency", "partners"),
    Arm("mfr", "mutual features", "partners"),
)
"""All interventions, in the order of the table."""


@dataclass(frozen=True)
class InterventionSettings:
    """What varies in this section."""

    base: language.LanguageSettings = language.PROFILES["paper"]
    """Model, hook, latents, k and learning rate."""
    arms: tuple[Arm, ...] = ARMS
    """Arms that are trained; the first is the plain one."""
    tokens: int = 32_768
    """Distinct training tokens: a quarter of the base configuration's, for want of time."""
    epochs: int = 4
    """Passes over them."""
    planted: PlantedConfig = _PLANTED
    """The planted truth; as many samples as tokens, so that steps are equal too."""
    planted_latents: int = 128
    """Latents there: a signed block of four dimensions takes eight, a single one."""
    planted_k: int = 4
    """Latents kept there."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of each arm."""
    references: tuple[int, ...] = (101, 102, 103, 104, 105)
    """Seeds of the independent reference dictionaries."""
    language: CalibratedWeights = CalibratedWeights(9.3e-3, 4.3e-3, 0.1, 0.1, 0.1, 0.1, 0.01)
    """On the language model."""
    synthetic: CalibratedWeights = CalibratedWeights(2.5e-2, 2.4e-2, 0.1, 0.1, 0.1, 0.1, 0.01)
    """On the planted truth."""
    jumprelu_start: tuple[float, float] = (1.0, 0.5)
    """JumpReLU's first threshold and the width of its window, as in the section on alignment."""
    warm_up: float = 0.1
    """Share of the steps over which a rate or a sparsity rises where it does."""
    decay: float = 0.2
    """Share of the steps over which the rate falls linearly, as in Gao et al."""
    longer: int = 4
    """Times the steps in the one arm that has more."""
    dead_share: float = 0.125
    """Share of an epoch after which a silent latent counts as dead for AuxK, where it is on."""
    soft_k: int = 4
    """Times k that are kept in the first step where k falls."""
    temperature: float = 1.0
    """First temperature of the soft selection, in spreads of the pre-activations."""
    twin_tokens: int = 8_192
    """Tokens of the twins, few so that many epochs can be had."""
    twin_epochs: tuple[int, ...] = (0, 1, 2, 5, 10, 20)
    """Epochs after which twins are measured."""
    epsilons: tuple[float, ...] = (0.02, 0.05, 0.1)
    """Strengths of the entropy in transport, in units of cosine."""


@dataclass(frozen=True)
class ArmsConfig:
    """The arms that are measured."""

    arms: tuple[Arm, ...] = ARMS
    """The first is the plain one."""


paper = InterventionSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        base=language.PROFILES["smoke"],
        tokens=2048,
        epochs=2,
        planted=PlantedConfig(d=32, singles=24, blocks=4, samples=2048, heldout=512),
        planted_latents=64,
        twin_tokens=512,
        epsilons=(0.05, 0.1, 0.2),
    ),
    "full": replace(
        paper,
        base=language.PROFILES["full"],
        tokens=131_072,
        planted=PlantedConfig(samples=131_072),
        seeds=tuple(range(20)),
        twin_tokens=32_768,
    ),
}


def parts(settings: InterventionSettings) -> dict[str, Stage]:
    """The parts of the section, each with the stages it measures."""
    return {
        "rows": _rows(settings),
        "drift": _drift(settings),
        "transport": _transport(settings),
    }


def dictionary(settings: InterventionSettings, subject: Subject) -> DictionaryConfig:
    """Plain TopK on a subject: each seed has its own initialization and order of batches."""
    plain = language.dictionary(settings.base, epochs=settings.epochs, order="own")
    if subject == "planted":
        plain = replace(plain, n_latents=settings.planted_latents, k=settings.planted_k)
    return plain


def trainings(
    settings: InterventionSettings, subject: Subject
) -> dict[str, TrainingConfig | VariantConfig]:
    """The training of each arm on a subject; each differs from the first in one respect."""
    every = _all_trainings(settings, subject)
    return {each.name: every[each.name] for each in settings.arms}


def _all_trainings(
    settings: InterventionSettings, subject: Subject
) -> dict[str, TrainingConfig | VariantConfig]:
    plain = dictionary(settings, subject)
    fitted = settings.language if subject == "language" else settings.synthetic
    steps = settings.epochs * -(-settings.tokens // plain.batch_size)
    rise = max(1, round(settings.warm_up * steps))

    def trained(**changes) -> TrainingConfig:
        changed = replace(plain, **changes)
        return TrainingConfig(changed, settings.seeds, samples=settings.tokens)

    def variant(**changes) -> VariantConfig:
        return VariantConfig(plain, settings.seeds, samples=settings.tokens, **changes)

    hull = variant(init="centroids", form="archetypal", weights_rate=fitted.weights_rate)
    first = (settings.seeds[0],) * len(settings.seeds)
    threshold, width = settings.jumprelu_start
    jumprelu = replace(
        JUMPRELU,
        n_latents=plain.n_latents,
        epochs=plain.epochs,
        learning_rate=plain.learning_rate,
        order=plain.order,
        l0_weight=fitted.jumprelu_l0_weight,
        threshold_init=threshold,
        bandwidth=width,
        warm_up_steps=rise,
        sparsity_warm_up_steps=rise,
    )
    return {
        "plain": trained(),
        "same_order": trained(order="shared"),
        "same_start": replace(trained(), init_seeds=first),
        "data_points": variant(init="data_points"),
        "data_points_shared": variant(init="data_points", shared_init=True),
        "centroids_shared": variant(init="centroids", shared_init=True),
        "archetypal": hull,
        "archetypal_shared": replace(hull, shared_init=True),
        # An encoder that has nothing to do with the decoder has no scale at which it fits.
        "untied": trained(tied_init=False, scaled_init=False),
        "tied": variant(form="tied"),
        "decay": trained(warm_up_steps=rise, decay_share=settings.decay),
        "cosine": variant(cosine=True),
        "longer": trained(epochs=settings.longer * settings.epochs),
        "auxk": trained(dead_after=max(1, round(settings.dead_share * settings.tokens))),
        # Often enough that some are silent for so long, and not at the very end.
        "resampling": trained(auxk=0, resample_every=steps // 8 + 1),
        "falling_k": variant(initial_k=min(plain.n_latents, settings.soft_k * plain.k)),
        "temperature": variant(temperature=settings.temperature),
        "batch_topk": trained(architecture="batch_topk"),
        "relu": trained(architecture="relu", l1=fitted.relu_l1, auxk=0),
        "jumprelu": TrainingConfig(jumprelu, settings.seeds, samples=settings.tokens),
        "orthogonality": variant(term="orthogonality", weight=fitted.orthogonality),
        "l2": variant(term="l2", weight=fitted.l2),
        "consistency": variant(term="consistency", weight=fitted.consistency),
        "mfr": variant(term="mfr", weight=fitted.mfr),
    }


REFERENCES = "judges"
FAMILIES = (
    ("plain", REFERENCES, "same_order", "same_start"),
    (
        "data_points",
        "data_points_shared",
        "centroids_shared",
        "archetypal",
        "archetypal_shared",
    ),
    ("untied", "tied", "decay", "cosine", "longer", "auxk", "resampling"),
    ("falling_k", "temperature", "batch_topk", "relu", "jumprelu"),
    ("orthogonality", "l2", "consistency", "mfr"),
)
"""Arms that are trained in one stage: fewer processes to start."""


def data(subject: Subject, settings: InterventionSettings) -> Stage:
    """Activations of the model, or samples of the planted truth."""
    if subject == "planted":
        return Stage(
            "interventions/planted",
            "audit.subjects.synthetic.planted:planted",
            replace(settings.planted, samples=settings.tokens),
        )
    base = settings.base
    return language.read(
        base.hook,
        base.tokens,
        heldout_contexts=base.heldout_contexts,
        model=base.model,
        together=base.together,
    )


def families(settings: InterventionSettings) -> list[tuple[str, ...]]:
    """The families, without arms that are not trained."""
    wanted = {REFERENCES, *(each.name for each in settings.arms)}
    kept = [tuple(name for name in names if name in wanted) for names in FAMILIES]
    return [names for names in kept if names]


def family(subject: Subject, names: tuple[str, ...], settings: InterventionSettings) -> Stage:
    """Train some arms, or the reference dictionaries, on a subject."""
    every = trainings(settings, subject)
    every[REFERENCES] = replace(every["plain"], seeds=settings.references)
    return Stage(
        f"interventions/{subject}/{names[0]}",
        "audit.training.variants.stages:train_family",
        FamilyConfig(names, tuple(every[name] for name in names)),
        {"activations": data(subject, settings)},
    )


def language_rows(settings: InterventionSettings) -> Stage:
    """The arms on the language model alone."""
    scores: Inputs = {"language": _scores("language", settings)}
    return Stage("interventions/rows", f"{HERE}:language_rows", ArmsConfig(settings.arms), scores)


def _rows(settings: InterventionSettings) -> Stage:
    scores: dict[str, Stage] = {subject: _scores(subject, settings) for subject in SUBJECTS}
    return Stage("interventions/rows", f"{HERE}:rows", ArmsConfig(settings.arms), scores)


def _scores(subject: Subject, settings: InterventionSettings) -> Stage:
    """Score all arms against each other, the references and the truth."""
    every = trainings(settings, subject)
    samples = data(subject, settings)
    inputs: dict[str, Stage | Inputs] = {
        "families": {names[0]: family(subject, names, settings) for names in families(settings)},
        "activations": samples,
    }
    if subject == "planted":
        inputs["truth"] = samples
    return Stage(
        f"interventions/{subject}/judged",
        "audit.analyses.reference:score_against_references",
        ReferenceConfig(
            tuple(every), tuple(each.dictionary for each in every.values()), REFERENCES
        ),
        inputs,
    )


def _drift(settings: InterventionSettings) -> Stage:
    """Compare twins (one shared initialization) and strangers (nothing shared) by epoch."""
    training = TrainingConfig(
        replace(dictionary(settings, "language"), epochs=settings.twin_epochs[-1]),
        settings.seeds,
        samples=settings.twin_tokens,
        trace_epochs=settings.twin_epochs,
    )
    same_start = replace(training, init_seeds=(settings.seeds[0],) * len(settings.seeds))
    activations = data("language", settings)

    def traced(kind: str, config: TrainingConfig) -> tuple[Stage, Stage]:
        name = f"interventions/language/{kind}"
        train = Stage(
            f"{name}/train",
            "audit.training.variants.stages:train_traced",
            config,
            {"activations": activations},
        )
        compare = Stage(
            f"{name}/compare",
            "audit.analyses.trace:compare_trace",
            ComparisonConfig(chance_draws=2),
            {"dictionaries": train, "activations": activations},
        )
        return train, compare

    (decoders, twins), (_, strangers) = traced("twins", same_start), traced("strangers", training)
    inputs = {"decoders": decoders, "twins": twins, "strangers": strangers}
    return Stage("interventions/drift", f"{HERE}:drift", settings, inputs)


def _transport(settings: InterventionSettings) -> Stage:
    aligned = Stage(
        "interventions/aligned",
        "audit.analyses.transport:transport",
        TransportConfig(settings.epsilons),
        {
            "family": family("language", families(settings)[0], settings),
            "activations": data("language", settings),
        },
    )
    return Stage("interventions/transport", f"{HERE}:transport", settings, {"alignments": aligned})


def printed(config: InterventionSettings) -> dict:
    """The settings that the text mentions."""
    terms, planted = config.language, config.planted
    return {
        "seeds": len(config.seeds),
        "judges": len(config.references),
        "latents": config.base.n_latents,
        "k": config.base.k,
        "tokens": config.tokens,
        "epochs": config.epochs,
        "steps": config.epochs * -(-config.tokens // dictionary(config, "language").batch_size),
        "longer": config.longer,
        "soft_k": config.soft_k,
        "decay_share": Scalar(100 * config.decay, 0, "%"),
        "warm_up_share": Scalar(100 * config.warm_up, 0, "%"),
        "dead_share": f"{config.dead_share:g}",
        "planted_latents": config.planted_latents,
        "planted_k": config.planted_k,
        "width": planted.d,
        **{name: getattr(planted, name) for name in ("singles", "blocks", "rank")},
        "lowest_frequency": f"{planted.frequencies[0]:g}",
        "highest_frequency": f"{planted.frequencies[1]:g}",
        "orthogonality": f"{terms.orthogonality:g}",
        "consistency": f"{terms.consistency:g}",
        "mfr": f"{terms.mfr:g}",
        "twin_tokens": config.twin_tokens,
        "epsilons": ", ".join(f"{epsilon:g}" for epsilon in config.epsilons),
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("interventions", "interventions.rows", "language.interventions"),
        Figure("twins", "interventions.drift", "language.twins"),
    ),
    tables=("interventions", "interventions_verdicts", "transport"),
)
