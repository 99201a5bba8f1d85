"""Section "Modular addition": TopK and ReLU on a transformer that adds (claims C10 to C17).

The base configuration is the second report's own setting: layer one, both subjects. One factor at a
time varies around it: layer, training conventions, size, training length, architecture at equal L0
or explained variance, and seed of the subject. Controls replace the trained dictionaries, or the
trained subject.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from audit.evaluation.config import FourierConfig
from audit.experiments.common.arms import Arm, NoSettings, activations, arm, results_of
from audit.experiments.common.declaration import Experiment, Figure
from audit.pipeline.graph.stage import Inputs, Stage
from audit.pipeline.results import Scalar
from audit.subjects.modular_addition.config import (
    CLEAN,
    Subject,
    first_epochs,
    logits_config,
    reading_config,
)
from audit.training.config import ControlConfig
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
MEASUREMENTS = "audit.experiments.modular.measurements"


@dataclass(frozen=True)
class ModularSettings:
    """Settings of the section on modular addition."""

    seeds: tuple[int, ...] = (*REPORT_SEEDS, *range(1, 16))
    """Seeds of the base configuration on the report's subject; the first five are the report's."""
    clean_seeds: tuple[int, ...] = (*REPORT_SEEDS, *range(1, 6))
    """Seeds of the base configuration on the clean subject."""
    few_seeds: tuple[int, ...] = REPORT_SEEDS
    """Seeds of other arms: the fewest that give an interval."""
    fewest_seeds: tuple[int, ...] = REPORT_SEEDS[:3]
    """Seeds of arms that have a range only: the other layer, the largest dictionary, the longest
    training, other transformers, k-means and independent components."""
    layer: int = 1
    """Residual stream after this block, the report's."""
    other_layer: int = 0
    """The other block, with the fewest seeds."""
    n_latents: int = 1024
    """Latents in the base configuration."""
    epochs: int = 20
    """Passes over the activations in the base configuration."""
    sizes: tuple[int, ...] = (16, 64, 256)
    """Numbers of latents besides the base configuration's, with few seeds."""
    large: int = 2048
    """The largest dictionary, with the fewest seeds."""
    lengths: tuple[int, ...] = (5, 10, 20, 50, 100)
    """Epochs after which one long training is traced."""
    equal_l0_k: tuple[int, int] = (139, 175)
    """k at which TopK has the L0 of the ReLU below, on `leaky` and on `clean`. All four values were
    chosen with a seed that no arm has, by L0 and explained variance alone."""
    equal_variance_k: tuple[int, int] = (32, 175)
    """k at which TopK has the explained variance of that ReLU."""
    equal_l1: tuple[float, float] = (9.8e-3, 1e-3)
    """L1 coefficient of that ReLU. On `leaky`, TopK explains less than ReLU in the base
    configuration, so the ReLU is made sparser; on `clean` it is the base configuration's."""
    control_latents: int = 1024
    """Latents of the control dictionaries."""
    subject_seeds: tuple[int, ...] = (1, 2)
    """Seeds of further transformers of each kind, with few dictionary seeds each."""
    permutations: int = 99
    """Gauge scrambles per p-value in the base configuration."""


paper = ModularSettings()
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


def parts(settings: ModularSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    base = base_arms(settings)
    return {
        "subjects": _subjects(settings),
        "headline": _measure("headline", base),
        "layers": _measure("layers", _other_layer(settings)),
        "conventions": _measure("conventions", conventions_arms(settings)),
        "architecture": _measure(
            "architecture",
            base
            | _equal_arms(settings, base)
            | {f"literature_{name}": each for name, each in conventions_arms(settings).items()},
            settings,
        ),
        "sizes": _measure("sizes", base | _sizes(settings), settings),
        "length": _length(settings),
        "fourier": _fourier(settings, base),
        "controls": _measure("controls", {"topk_clean": base["topk_clean"]} | _controls(settings)),
        "subject_seeds": _measure("subject_seeds", base | _subject_seeds(settings), settings),
    }


def _measure(part: str, arms: Mapping[str, Arm], config: object = None) -> Stage:
    return _part(part, {"arms": results_of(arms)}, config)


def _part(part: str, inputs: Inputs, config: object = None) -> Stage:
    return Stage(f"modular/{part}", f"{MEASUREMENTS}:{part}", config or NoSettings(), inputs)


def base_arms(settings: ModularSettings) -> dict[str, Arm]:
    """Arms of the base configuration by architecture and subject, as stages that are shared."""
    many: dict[Subject, tuple[int, ...]] = {
        "leaky": settings.seeds,
        "clean": settings.clean_seeds,
    }
    return _both_architectures(
        settings, "centre", ARCHITECTURES, many, permutations=settings.permutations
    )


def _other_layer(settings: ModularSettings) -> dict[str, Arm]:
    layer = settings.other_layer
    few = dict.fromkeys(SUBJECTS, settings.fewest_seeds)
    return _both_architectures(settings, f"layer{layer}", ARCHITECTURES, few, layer=layer)


def conventions_arms(settings: ModularSettings) -> dict[str, Arm]:
    """Arms trained as in the literature, over batches that all seeds share."""
    few = dict.fromkeys(SUBJECTS, settings.few_seeds)
    return _both_architectures(settings, "conventions", {"topk": TOPK, "relu": RELU}, few)


def _both_architectures(
    settings: ModularSettings,
    place: str,
    presets: dict[str, DictionaryConfig],
    seeds: dict[Subject, tuple[int, ...]],
    **more: int,
) -> dict[str, Arm]:
    """Arms of both architectures on both subjects."""
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


def _equal_arms(settings: ModularSettings, base: dict[str, Arm]) -> dict[str, Arm]:
    """TopK at the L0 and at the explained variance of a ReLU.

    Arms that are equal to those of the base configuration are reused.
    """
    arms: dict[str, Arm] = {}
    for i, subject in enumerate(SUBJECTS):
        presets = {
            "topk_equal_l0": _with_k(settings.equal_l0_k[i], settings),
            "topk_equal_variance": _with_k(settings.equal_variance_k[i], settings),
            "relu_equal": replace(HUSAI_RELU, l1=settings.equal_l1[i]),
        }
        known = [*(base[f"{name}_{subject}"] for name in ARCHITECTURES)]
        for name, preset in presets.items():
            preset = replace(preset, n_latents=settings.n_latents, epochs=settings.epochs)
            same = [each for each in known if each.train.config.dictionary == preset]
            new = _arm(f"equal/{name}_{subject}", settings, preset, subject)
            arms[f"{name}_{subject}"] = same[0] if same else new
            known.append(arms[f"{name}_{subject}"])
    return arms


def _with_k(k: int, settings: ModularSettings) -> DictionaryConfig:
    # In the report the weight of the auxiliary term is 1/k.
    k = min(k, settings.n_latents // 2)
    return replace(HUSAI_TOPK, k=k, suppression=1 / k)


def _sizes(settings: ModularSettings) -> dict[str, Arm]:
    """TopK on the clean subject at other sizes; k is at most a quarter of the latents."""
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


def _length(settings: ModularSettings) -> Stage:
    arms: dict[str, Inputs] = {}
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
        compare = Stage(
            f"modular/length/{subject}/compare",
            "audit.analyses.trace:compare_trace",
            ComparisonConfig(permutations=0),
            {"dictionaries": train, "activations": data},
        )
        arms[subject] = {"training": train, "comparison": compare}
    return _part("length", {"subjects": arms})


def _fourier(settings: ModularSettings, base: dict[str, Arm]) -> Stage:
    arms = {}
    for subject in SUBJECTS:
        data = activations(subject, 0, settings.layer)
        logits = Stage(
            f"logits/{subject}0",
            "audit.subjects.modular_addition.stages:logits",
            logits_config(subject, 0),
        )
        for architecture, preset in ARCHITECTURES.items():
            name = f"{architecture}_{subject}"
            arms[name] = Stage(
                f"modular/fourier/{name}",
                "audit.evaluation.stages:fourier",
                FourierConfig(replace(preset, n_latents=settings.n_latents), seeds=REPORT_SEEDS),
                {"dictionaries": base[name].train, "activations": data, "logits": logits},
            )
    return _part("fourier", {"arms": arms})


def _controls(settings: ModularSettings) -> dict[str, Arm]:
    """Control arms: dictionaries without training, and SAEs on an untrained subject."""
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


def _subject_seeds(settings: ModularSettings) -> dict[str, Arm]:
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


def _subjects(settings: ModularSettings) -> Stage:
    trained: dict[str, Inputs] = {
        subject: {
            f"seed{seed}": _statistics(subject, seed) for seed in (0, *settings.subject_seeds)
        }
        for subject in SUBJECTS
    }
    learning = Stage(
        "subjects/learning",
        "audit.subjects.modular_addition.stages:learning_curves",
        first_epochs(0),
    )
    untrained = _statistics("untrained", 0, name="untrained")
    return _part("subjects", {"trained": trained, "untrained": untrained, "learning": learning})


def _statistics(subject: Subject, seed: int, name: str = "") -> Stage:
    return Stage(
        f"subjects/{name or f'{subject}{seed}'}",
        "audit.subjects.modular_addition.stages:statistics",
        reading_config(subject, seed),
    )


def _arm(
    name: str,
    settings: ModularSettings,
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


def printed(config: ModularSettings) -> dict:
    """Settings that the text mentions."""
    return {
        "seeds": len(config.seeds),
        "clean_seeds": len(config.clean_seeds),
        "few_seeds": len(config.few_seeds),
        "fewest_seeds": len(config.fewest_seeds),
        "report_seeds": ", ".join(str(seed) for seed in REPORT_SEEDS),
        "latents": config.n_latents,
        "epochs": config.epochs,
        "longest": max(config.lengths),
        "shortest": min(config.lengths),
        "smallest": min(config.sizes),
        "largest": config.large,
        "train_share": Scalar(100 * CLEAN.train_share, 0, "%"),
        "p": CLEAN.p,
        "width": CLEAN.d_model,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("levels", "modular.headline.figure", "addition.levels"),
        Figure("sizes", "modular.sizes", "addition.sizes"),
        Figure("length", "modular.length", "addition.length"),
    ),
    tables=("subjects", "centre", "quality", "architecture", "controls", "fourier"),
)
