"""Section "Modular addition": TopK and ReLU on a transformer that adds (claims C10 to C17).

The centre is the second report's own setting, layer one, with twenty seeds on both subjects. Around
it one factor moves at a time: layer, conventions of training, size, length, architecture at equal
L0 or explained variance, subject seed, and controls that no training, or no subject, made.
"""

from dataclasses import dataclass, replace

from audit.evaluation.config import FourierConfig
from audit.experiments.common.arms import Arm, activations, arm, measured
from audit.pipeline.graph.stage import Stage
from audit.subjects.modular_addition.config import (
    Subject,
    first_epochs,
    logits_config,
    reading_config,
)
from audit.training.controls_config import ControlConfig
from seedstability.dictionaries.config import (
    HUSAI_RELU,
    HUSAI_TOPK,
    RELU,
    TOPK,
    DictionaryConfig,
    TrainingConfig,
)
from seedstability.similarity.config import ComparisonConfig

REPORT_SEEDS = (42, 123, 456, 789, 1011)
ARCHITECTURES = {"topk": HUSAI_TOPK, "relu": HUSAI_RELU}
SUBJECTS: tuple[Subject, ...] = ("leaky", "clean")
HERE = "audit.experiments.modular.measurements"


@dataclass(frozen=True)
class Settings:
    """What varies in this section."""

    seeds: tuple[int, ...] = (*REPORT_SEEDS, *range(1, 16))
    """Seeds at the centre on the report's subject; the first five are the report's own."""
    clean_seeds: tuple[int, ...] = (*REPORT_SEEDS, *range(1, 6))
    """Seeds at the centre on the clean subject."""
    few_seeds: tuple[int, ...] = REPORT_SEEDS
    """Seeds of the arms beside the centre: as few as still give an interval."""
    fewest_seeds: tuple[int, ...] = REPORT_SEEDS[:3]
    """Seeds further out, where a range has to do: the other layer, the largest dictionary, the
    longest training, other transformers, and k-means and independent components."""
    layer: int = 1
    """Residual stream after this block, the report's."""
    other_layer: int = 0
    """The other block, with the fewest seeds."""
    n_latents: int = 1024
    """Latents at the centre."""
    epochs: int = 20
    """Passes over the activations at the centre."""
    sizes: tuple[int, ...] = (16, 64, 256)
    """Other numbers of latents, with few seeds; the centre's stands between them."""
    large: int = 2048
    """The largest dictionary, with the fewest seeds."""
    lengths: tuple[int, ...] = (5, 10, 20, 50, 100)
    """Epochs after which one long training is looked at."""
    equal_l0_k: tuple[int, int] = (139, 175)
    """k at which TopK has the L0 of the ReLU below, on `leaky` and on `clean`. All four were found
    with a seed that is not among the others, by L0 and explained variance alone."""
    equal_variance_k: tuple[int, int] = (32, 175)
    """k at which TopK explains as much as that ReLU."""
    equal_l1: tuple[float, float] = (9.8e-3, 1e-3)
    """L1 of that ReLU. On `leaky` the centre's TopK explains less than the centre's ReLU, so the
    ReLU is made sparser; on `clean` it is the centre's."""
    control_latents: int = 1024
    """Rows of the control dictionaries."""
    subject_seeds: tuple[int, ...] = (1, 2)
    """Seeds of further transformers of each kind, with few seeds each."""
    permutations: int = 99
    """Gauge scrambles behind each p-value at the centre."""


paper = Settings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        seeds=REPORT_SEEDS,
        clean_seeds=REPORT_SEEDS,
        few_seeds=REPORT_SEEDS,
        n_latents=64,
        epochs=1,
        sizes=(16, 32),
        large=96,
        lengths=(1, 2),
        control_latents=64,
        subject_seeds=(1,),
        permutations=5,
    ),
    "full": replace(
        paper,
        clean_seeds=paper.seeds,
        few_seeds=paper.seeds,
        fewest_seeds=paper.seeds,
        large=4096,
        lengths=(*paper.lengths, 200, 400),
    ),
}


def parts(settings: Settings) -> dict[str, Stage]:
    """The parts of the section, each with the stages it measures."""
    centre = centre_arms(settings)
    return {
        "subjects": _subjects(settings),
        "headline": _measure("headline", measured(centre)),
        "layers": _measure("layers", measured(_other_layer(settings))),
        "conventions": _measure("conventions", measured(_conventions(settings))),
        "architecture": _measure(
            "architecture",
            measured(
                centre
                | _equal_arms(settings, centre)
                | {f"literature_{name}": each for name, each in _conventions(settings).items()}
            ),
            settings,
        ),
        "sizes": _measure("sizes", measured(centre | _sizes(settings)), settings),
        "length": _length(settings),
        "fourier": _fourier(settings, centre),
        "controls": _measure("controls", measured(centre | _controls(settings))),
        "subject_seeds": _measure(
            "subject_seeds", measured(centre | _subject_seeds(settings)), settings
        ),
        "settings": Stage("modular/settings", f"{HERE}:settings", settings),
    }


def _measure(part: str, inputs: dict[str, Stage], config: object = None) -> Stage:
    return Stage(f"modular/{part}", f"{HERE}:{part}", config or _Nothing(), inputs)


@dataclass(frozen=True)
class _Nothing:
    """Settings of a measuring stage that has none of its own."""


def centre_arms(settings: Settings) -> dict[str, Arm]:
    """The centre's arms by architecture and subject, the same stages for whoever asks."""
    many: dict[Subject, tuple[int, ...]] = {
        "leaky": settings.seeds,
        "clean": settings.clean_seeds,
    }
    return _four(settings, "centre", ARCHITECTURES, many, permutations=settings.permutations)


def _other_layer(settings: Settings) -> dict[str, Arm]:
    layer = settings.other_layer
    few = dict.fromkeys(SUBJECTS, settings.fewest_seeds)
    return _four(settings, f"layer{layer}", ARCHITECTURES, few, layer=layer)


def _conventions(settings: Settings) -> dict[str, Arm]:
    """The architectures as the literature trains them, over batches that all seeds share."""
    few = dict.fromkeys(SUBJECTS, settings.few_seeds)
    return _four(settings, "conventions", {"topk": TOPK, "relu": RELU}, few)


def _four(
    settings: Settings,
    place: str,
    presets: dict[str, DictionaryConfig],
    seeds: dict[Subject, tuple[int, ...]],
    **more: int,
) -> dict[str, Arm]:
    """Both architectures on both subjects."""
    return {
        f"{architecture}_{subject}": _arm(
            f"{place}/{architecture}_{subject}",
            settings,
            replace(preset, n_latents=settings.n_latents, epochs=settings.epochs),
            subject,
            seeds=seeds[subject],
            **more,
        )
        for architecture, preset in presets.items()
        for subject in SUBJECTS
    }


def _equal_arms(settings: Settings, centre: dict[str, Arm]) -> dict[str, Arm]:
    """TopK at the L0 and at the explained variance of a ReLU; centre arms where they serve."""
    arms: dict[str, Arm] = {}
    for i, subject in enumerate(SUBJECTS):
        presets = {
            "topk_equal_l0": _with_k(settings.equal_l0_k[i], settings),
            "topk_equal_variance": _with_k(settings.equal_variance_k[i], settings),
            "relu_equal": replace(HUSAI_RELU, l1=settings.equal_l1[i]),
        }
        known = [*(centre[f"{name}_{subject}"] for name in ARCHITECTURES)]
        for name, preset in presets.items():
            preset = replace(preset, n_latents=settings.n_latents, epochs=settings.epochs)
            same = [each for each in known if each.train.config.dictionary == preset]
            new = _arm(f"equal/{name}_{subject}", settings, preset, subject)
            arms[f"{name}_{subject}"] = same[0] if same else new
            known.append(arms[f"{name}_{subject}"])
    return arms


def _with_k(k: int, settings: Settings) -> DictionaryConfig:
    # the report's weight of its auxiliary term is one over k
    k = min(k, settings.n_latents // 2)
    return replace(HUSAI_TOPK, k=k, suppression=1 / k)


def _sizes(settings: Settings) -> dict[str, Arm]:
    """TopK on the clean subject at other sizes; at most a quarter of the latents is kept."""
    points = [(size, settings.few_seeds) for size in settings.sizes]
    points.append((settings.large, settings.fewest_seeds))
    arms = {}
    for size, seeds in points:
        k = min(HUSAI_TOPK.k, size // 4)
        arms[f"size{size}"] = _arm(
            f"sizes/{size}",
            settings,
            replace(HUSAI_TOPK, n_latents=size, k=k, suppression=1 / k, epochs=settings.epochs),
            "clean",
            seeds=seeds,
        )
    return arms


def _length(settings: Settings) -> Stage:
    inputs = {}
    for subject in SUBJECTS:
        data = activations(subject, 0, settings.layer)
        training = TrainingConfig(
            replace(HUSAI_TOPK, n_latents=settings.n_latents, epochs=max(settings.lengths)),
            settings.fewest_seeds,
            trace_epochs=settings.lengths,
            trace_decoders=True,
        )
        train = Stage(
            f"modular/length/{subject}/train",
            "audit.training.stages:train",
            training,
            {"activations": data},
        )
        inputs[f"{subject}__training"] = train
        inputs[f"{subject}__comparison"] = Stage(
            f"modular/length/{subject}/compare",
            "audit.analyses.trace:compare_trace",
            ComparisonConfig(permutations=0),
            {"dictionaries": train, "activations": data},
        )
    return _measure("length", inputs)


def _fourier(settings: Settings, centre: dict[str, Arm]) -> Stage:
    inputs = {}
    for subject in SUBJECTS:
        data = activations(subject, 0, settings.layer)
        logits = Stage(
            f"logits/{subject}0",
            "audit.subjects.modular_addition.stages:logits",
            logits_config(subject, 0),
        )
        for architecture, preset in ARCHITECTURES.items():
            name = f"{architecture}_{subject}"
            inputs[name] = Stage(
                f"modular/fourier/{name}",
                "audit.evaluation.stages:fourier",
                FourierConfig(replace(preset, n_latents=settings.n_latents), first=5),
                {"dictionaries": centre[name].train, "activations": data, "logits": logits},
            )
    return _measure("fourier", inputs)


def _controls(settings: Settings) -> dict[str, Arm]:
    """Dictionaries that nobody trained, or trained on a subject that nobody trained."""
    data = activations("clean", 0, settings.layer)
    seeds = settings.few_seeds
    made = {
        kind: arm(
            f"modular/controls/{kind}",
            data,
            ControlConfig(
                kind,
                settings.control_latents,
                settings.fewest_seeds if kind in ("kmeans", "ica") else seeds,
            ),
            ComparisonConfig(permutations=0),
        )
        for kind in ("data_points", "kmeans", "ica")
    }
    preset = replace(HUSAI_TOPK, n_latents=settings.n_latents, epochs=settings.epochs)
    frozen = TrainingConfig(preset, seeds, frozen_decoder=True)
    return made | {
        "frozen_decoder": arm(
            "modular/controls/frozen_decoder", data, frozen, ComparisonConfig(permutations=0)
        ),
        "untrained": _arm("controls/untrained", settings, preset, "untrained"),
    }


def _subject_seeds(settings: Settings) -> dict[str, Arm]:
    preset = replace(HUSAI_TOPK, n_latents=settings.n_latents, epochs=settings.epochs)
    return {
        f"{subject}{seed}": _arm(
            f"subject_seeds/{subject}{seed}",
            settings,
            preset,
            subject,
            seeds=settings.fewest_seeds,
            subject_seed=seed,
        )
        for subject in SUBJECTS
        for seed in settings.subject_seeds
    }


def _subjects(settings: Settings) -> Stage:
    inputs = {
        f"{subject}{seed}": Stage(
            f"subjects/{subject}{seed}",
            "audit.subjects.modular_addition.stages:statistics",
            reading_config(subject, seed),
        )
        for subject in SUBJECTS
        for seed in (0, *settings.subject_seeds)
    }
    inputs["untrained"] = Stage(
        "subjects/untrained",
        "audit.subjects.modular_addition.stages:statistics",
        reading_config("untrained", 0),
    )
    inputs["learning"] = Stage(
        "subjects/learning",
        "audit.subjects.modular_addition.stages:learning_curves",
        first_epochs(0),
    )
    return _measure("subjects", inputs)


def _arm(
    name: str,
    settings: Settings,
    dictionary: DictionaryConfig,
    subject: Subject,
    *,
    seeds: tuple[int, ...] = (),
    layer: int | None = None,
    subject_seed: int = 0,
    permutations: int = 0,
) -> Arm:
    layer = settings.layer if layer is None else layer
    return arm(
        f"modular/{name}",
        activations(subject, subject_seed, layer),
        TrainingConfig(dictionary, seeds or settings.few_seeds),
        ComparisonConfig(permutations=permutations),
    )
