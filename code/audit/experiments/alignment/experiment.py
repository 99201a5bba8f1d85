"""Section "Same data, different features": shared latents over sizes (C40–C45, C48, C49).

As in the fifth report, TopK dictionaries of several sizes are trained on an MLP's output in the
middle of the model, over one order of batches. They are matched by decoders and by encoders, and
the section measures which latents are shared. All sizes see the same number of tokens.
"""

from dataclasses import dataclass, replace

from audit.analyses.config import ModesConfig
from audit.evaluation.config import EvaluationConfig
from audit.experiments.common.arms import Arm, arm, results_of
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Inputs, Stage
from audit.pipeline.results import Scalar
from audit.subjects.language_model.config import OURS
from seedstability.dictionaries.config import (
    BATCH_TOPK,
    JUMPRELU,
    RELU,
    TOPK,
    DictionaryConfig,
    TrainingConfig,
)
from seedstability.similarity.config import ComparisonConfig

MEASUREMENTS = "audit.experiments.alignment.measurements"
PLACES = ("smallest", "small", "large", "largest")
"""Names of the sizes, so that every profile has the same addresses."""
PYTHIA = "pythia-160m"
"""The report's model."""


@dataclass(frozen=True)
class AlignmentSettings:
    """Settings of the section on alignment."""

    model: str = OURS
    """The model; `small` is the one trained in this repository."""
    hook: str = "blocks.2.hook_mlp_out"
    """An MLP's output in the middle of the model; the report has the sixth of twelve layers."""
    heldout_contexts: int = 400
    """Held-out contexts on which all dictionaries are evaluated."""
    tokens: int = 131_072
    """Training tokens."""
    epochs: int = 1
    """Passes over the tokens for the sizes; one, so that the largest fits the time budget."""
    compared_epochs: int = 2
    """Passes where architectures are compared, and where frequency is separated from updates."""
    short: int = 4
    """Factor by which the short arm sees fewer tokens, to separate frequency from updates."""
    batch_size: int = 256
    """Samples per step, the same for all sizes, so that all take the same number of steps."""
    learning_rate: float = 3e-3
    """Learning rate of all dictionaries. It was chosen with seed 1000, which no arm has, by
    explained variance alone and together with the batch size: the best of several pairs, or equal
    to it, at 512, 2,048 and 8,192 latents. The preset's 3e-4 is for many more steps."""
    k: int = 16
    """Latents kept for each token."""
    sizes: tuple[int, int, int, int] = (512, 2048, 8192, 16_384)
    """Numbers of latents."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of each size but the largest, and of each architecture."""
    fewest_seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the largest dictionary, which has a range only; 004 has two, and a third once."""
    batch_topk_k: int = 16
    """k in training at which BatchTopK has the held-out L0 of TopK within half a latent, and its
    explained variance within 0.005. This value and the following ones were chosen as
    `learning_rate` was."""
    jumprelu_l0_weight: tuple[float, float] = (5.75e-3, 4.6e-3)
    """L0 coefficients at which JumpReLU has the L0 of TopK, and its explained variance."""
    jumprelu_start: tuple[float, float] = (1.0, 0.5)
    """Initial threshold and bandwidth of JumpReLU. From the preset's 0.02 the threshold cannot rise
    far enough in so few steps, whatever the coefficient."""
    relu_l1: float = 9.2e-3
    """L1 coefficient at which ReLU has the explained variance of TopK. No coefficient gives it the
    L0 of that TopK in so few steps, so a further TopK has the ReLU's L0."""
    relu_k: int = 37
    """k at which TopK has the L0 of this ReLU."""
    dip_draws: int = 100
    """Samples drawn at each distance between two groups, for the dip test's detectable distance."""
    together: tuple[str, ...] = ()
    """Hook points whose activations are read in one pass."""
    hub: tuple[str, ...] = ()
    """The report's model if the profile may download it, in the report's setting but for tokens."""


paper = AlignmentSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        tokens=4096,
        heldout_contexts=40,
        batch_size=256,
        k=8,
        sizes=(64, 96, 128, 256),
        batch_topk_k=9,
        relu_k=18,
        dip_draws=5,
    ),
    "full": replace(
        paper,
        epochs=4,
        compared_epochs=8,
        seeds=tuple(range(20)),
        fewest_seeds=tuple(range(5)),
        sizes=(512, 4096, 16_384, 65_536),
        hub=(PYTHIA,),
    ),
}


def parts(settings: AlignmentSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    sizes = {place: size_arm(settings, n) for place, n in zip(PLACES, settings.sizes, strict=True)}
    compared, hub = _compared(settings), _hub(settings)
    by_frequency = {"long": compared["topk"], "short": _short(settings), "wide": sizes["small"]}
    return {
        "sizes": _measure("sizes", {"arms": results_of(sizes)}, settings),
        "modes": _modes(settings, sizes | {"long": compared["topk"]}),
        "frequency": _measure("frequency", {"arms": results_of(by_frequency)}, settings),
        "architectures": _measure("architectures", {"arms": results_of(compared)}, settings),
        "hub": _measure("hub", {"arms": results_of(hub)} if hub else {}, settings),
    }


def size_arm(settings: AlignmentSettings, n_latents: int) -> Arm:
    """TopK dictionaries of one size, as stages that are shared."""
    few = n_latents == max(settings.sizes)
    seeds = settings.fewest_seeds if few else settings.seeds
    return _arm(
        f"size{n_latents}", settings, _dictionary(settings, TOPK, n_latents=n_latents), seeds
    )


def data(settings: AlignmentSettings) -> Stage:
    """Activations that all arms of this section read."""
    return language.read(
        settings.hook,
        settings.tokens,
        heldout_contexts=settings.heldout_contexts,
        model=settings.model,
        together=settings.together,
    )


def _compared(settings: AlignmentSettings) -> dict[str, Arm]:
    """Arms of all architectures at equal L0 or explained variance, at the smallest size."""
    start, width = settings.jumprelu_start
    jumprelu = replace(JUMPRELU, threshold_init=start, bandwidth=width)
    presets = {
        "topk": replace(TOPK, k=settings.k),
        "topk_as_relu": replace(TOPK, k=settings.relu_k),
        "batch_topk": replace(BATCH_TOPK, k=settings.batch_topk_k),
        "relu": replace(RELU, l1=settings.relu_l1),
        "jumprelu": replace(jumprelu, l0_weight=settings.jumprelu_l0_weight[0]),
        "jumprelu_as_good": replace(jumprelu, l0_weight=settings.jumprelu_l0_weight[1]),
    }
    return {
        name: _arm(
            f"compared/{name}",
            settings,
            _dictionary(
                settings,
                preset,
                k=preset.k,
                n_latents=settings.sizes[0],
                epochs=settings.compared_epochs,
            ),
            settings.seeds,
        )
        for name, preset in presets.items()
    }


def _short(settings: AlignmentSettings) -> Arm:
    """Arm `topk` of the architectures, with a fraction of the tokens seen."""
    seen = settings.compared_epochs * settings.tokens // settings.short
    preset = _dictionary(settings, TOPK, n_latents=settings.sizes[0], epochs=1)
    return _arm("short", settings, preset, settings.seeds, samples=seen)


def _dictionary(
    settings: AlignmentSettings, preset: DictionaryConfig, **changes
) -> DictionaryConfig:
    """A preset with this section's training settings; warm-ups take a tenth of the steps."""
    epochs = changes.get("epochs", settings.epochs)
    steps = epochs * -(-settings.tokens // settings.batch_size)
    return replace(
        preset,
        **{
            "k": settings.k,
            "epochs": epochs,
            "batch_size": settings.batch_size,
            "learning_rate": settings.learning_rate,
            "warm_up_steps": steps // 10 if preset.warm_up_steps else 0,
            "sparsity_warm_up_steps": steps // 10 if preset.sparsity_warm_up_steps else 0,
            # The preset's interval exceeds these few steps. Resampling once at half of them leaves
            # resampled latents time to learn.
            "resample_every": steps // 2 if preset.resample_every else 0,
            **changes,
        },
    )


def _arm(
    name: str,
    settings: AlignmentSettings,
    preset: DictionaryConfig,
    seeds: tuple[int, ...],
    samples: int | None = None,
) -> Arm:
    """Train, evaluate and align an arm; TopK is evaluated without dense arrays of latents."""
    training = TrainingConfig(preset, seeds, samples=samples or settings.tokens)
    comparison = _comparison(preset.n_latents)
    made = arm(f"alignment/{name}", data(settings), training, comparison)
    trained = {"dictionaries": made.train, "activations": made.data}
    evaluate = made.evaluate
    if preset.architecture == "topk":
        evaluate = Stage(
            f"alignment/{name}/evaluate",
            "audit.evaluation.sparse:evaluate_topk",
            EvaluationConfig(preset),
            trained,
        )
    align = Stage(
        f"alignment/{name}/align",
        "audit.analyses.alignment:align",
        comparison,
        {**trained, "evaluation": evaluate},
    )
    return Arm(made.data, made.train, evaluate, align)


def _comparison(n_latents: int) -> ComparisonConfig:
    """Compare all pairs of small dictionaries.

    Matching larger ones takes up to two seconds: there neighboring seeds are compared, and all
    pairs of three seeds, which sharing with a third seed needs.
    """
    if n_latents <= 1024:
        return ComparisonConfig(permutations=0)
    few = 3 if n_latents <= 4096 else 1
    return ComparisonConfig(permutations=0, complete=3, chance_draws=2, gauge_pairs=few)


def _modes(settings: AlignmentSettings, arms: dict[str, Arm]) -> Stage:
    tested = {
        place: Stage(
            f"alignment/{place}/modes",
            "audit.analyses.modes:modes",
            ModesConfig(draws=settings.dip_draws),
            {"alignment": each.compare, "evaluation": each.evaluate},
        )
        for place, each in arms.items()
    }
    return _measure("modes", {"tested": tested}, settings)


def _hub(settings: AlignmentSettings) -> dict[str, Arm]:
    """Arms on the report's own model with its number of latents, in profile `full` only."""
    arms = {}
    for model in settings.hub:
        there = replace(
            settings,
            model=model,
            hook="blocks.6.hook_mlp_out",
            k=32,
            sizes=(512, 2048, 8192, 32_768),
            tokens=2**23,
            epochs=1,
        )
        preset = _dictionary(there, TOPK, n_latents=32_768)
        arms[model.replace("-", "_")] = _arm(f"hub/{model}", there, preset, there.fewest_seeds)
    return arms


def _measure(part: str, inputs: Inputs, config: AlignmentSettings) -> Stage:
    return Stage(f"alignment/{part}", f"{MEASUREMENTS}:{part}", config, inputs)


def printed(config: AlignmentSettings) -> dict:
    """Settings that the text mentions."""
    return {
        "tokens": config.tokens,
        "seen": config.tokens * config.epochs,
        "compared_seen": config.tokens * config.compared_epochs,
        "short_factor": config.short,
        "seeds": len(config.seeds),
        "fewest_seeds": len(config.fewest_seeds),
        "k": config.k,
        "batch_size": config.batch_size,
        "learning_rate": Scalar(config.learning_rate, 4, tolerance=0.0),
        "smallest": config.sizes[0],
        "small": config.sizes[1],
        "large": config.sizes[2],
        "largest": config.sizes[3],
        "heldout_contexts": config.heldout_contexts,
        "batch_topk_k": config.batch_topk_k,
        "relu_k": config.relu_k,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("alignment", "alignment.sizes.figure", "language.alignment"),
        Figure("alignment_modes", "alignment.modes", "language.alignment_modes"),
        Figure("alignment_frequency", "alignment.frequency", "language.alignment_frequency"),
    ),
    tables=("alignment", "alignment_architectures"),
)
