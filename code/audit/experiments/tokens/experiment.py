"""Section "Layers, sizes and tokens": the third report's grid on our model (claims C20 to C26).

One factor at a time varies around the base configuration: the layer; the size, at equal tokens and
at equal updates per latent; the distinct tokens, at equal epochs as in the report, and at equal
tokens seen, where the number of steps is fixed. All arms are evaluated on the same held-out text.
"""

from dataclasses import dataclass, replace

from audit.analyses.config import PartnersConfig
from audit.evaluation.config import HeldoutConfig
from audit.experiments.common.arms import arm
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage
from audit.pipeline.results import Scalar
from seedstability.dictionaries.config import TOPK
from seedstability.errors import UserError
from seedstability.similarity.config import ComparisonConfig

MEASUREMENTS = "audit.experiments.tokens.measurements"


THRESHOLDS = {"at_least_05": 0.5, "at_least_07": 0.7, "at_least_09": 0.9}
"""Cosines at which the share of matched pairs is counted, by the name of the share."""


@dataclass(frozen=True)
class TokensSettings:
    """Settings of the section on layers, sizes and tokens."""

    base: language.LanguageSettings = language.PROFILES["paper"]
    """Base configuration: model, layer, size, tokens, epochs and seeds."""
    first_hook: str = "blocks.0.hook_resid_pre"
    """The report's layer 0: token and position embeddings, before any block."""
    last_hook: str = "blocks.3.hook_resid_post"
    """The final residual stream, which the model unembeds."""
    sizes: tuple[int, ...] = (128, 1024)
    """Numbers of latents besides the base configuration's, which lies between them."""
    large: int = 4096
    """The largest dictionary, with the fewest seeds. In both sweeps it sees the tokens of the base
    configuration."""
    compared: tuple[int, int] = (128, 512)
    """The report's two sizes; `sizes` or the base configuration has each of them."""
    seen_distinct: tuple[int, ...] = (1_024, 32_768, 524_288)
    """Distinct tokens at the base configuration's tokens seen, besides its own number."""
    epochs_distinct: tuple[int, ...] = (1_024, 8_192, 32_768)
    """Distinct tokens at the base configuration's epochs, besides its own number."""
    most: int = 1_048_576
    """The most distinct tokens, at the base configuration's epochs, with the fewest seeds."""
    scaled: tuple[int, int] = (1_024, 32_768)
    """The report's two numbers of tokens, rounded: it has 992 and 30,186."""
    own_samples: int = 32_768
    """Arms of at most this many distinct tokens also count dead latents on their training tokens,
    as the report seems to. More latents fire on a longer text, whatever was learned."""
    smallest_share: int = 4
    """k is the base configuration's, but at most the number of latents divided by this."""
    preset_rate: float = TOPK.learning_rate
    """Learning rate of the presets, for a further arm of the base configuration and of the report's
    setting."""
    report_latents: int = 128
    """Latents of the report's own setting, imitated on our model."""
    report_k: int = 8
    """Latents kept for each token in the report's setting."""
    report_tokens: int = 1_024
    """Distinct tokens of the report's setting, rounded to batches."""
    report_epochs: int = 8
    """Passes over the tokens in the report's setting."""
    report_batch: int = 64
    """Tokens per step. The report names none; 64 gives sixteen steps per pass."""
    report_model: str = ""
    """The report's own model, on which its four conditions are trained too; none if empty."""


@dataclass(frozen=True)
class Sweep:
    """Arms along one factor, as the measuring stage reads them."""

    name: str
    """What is held equal."""
    values: tuple[int, ...]
    """The factor's value at each arm, ascending."""
    arms: tuple[str, ...]
    """Names of the arms among the inputs."""
    compared: tuple[int, int]
    """The two values that the report compares."""


@dataclass(frozen=True)
class Sweeps:
    """The sweeps of one part."""

    sweeps: tuple[Sweep, ...] = ()
    """The sweeps, each with its arms."""
    seeds: int = 5
    """Seeds of an arm, the first of the base configuration's."""


paper = TokensSettings()
PROFILES = {
    "paper": paper,
    "smoke": TokensSettings(
        base=language.PROFILES["smoke"],
        sizes=(32, 96),
        large=128,
        compared=(32, 64),
        seen_distinct=(512, 2_048),
        epochs_distinct=(512, 2_048),
        most=8_192,
        scaled=(512, 2_048),
        report_latents=32,
        report_tokens=256,
        report_epochs=2,
    ),
    "full": replace(
        paper,
        base=language.PROFILES["full"],
        sizes=(128, 256, 1024, 2048),
        large=16_384,
        seen_distinct=(1_024, 8_192, 32_768, 524_288),
        epochs_distinct=(1_024, 8_192, 32_768, 524_288),
        report_model="gpt2",
    ),
}


@dataclass(frozen=True)
class ArmStages:
    """Stages of one arm that the measuring stages read."""

    evaluation: Stage
    """Reconstruction metrics of each dictionary."""
    partners: Stage
    """Partners of each latent in other seeds."""


def parts(settings: TokensSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    few = len(settings.base.few_seeds)
    base_stages = base_arm(settings.base)
    layers = {
        name: _arm(f"layers/{name}", settings, hook=hook)
        for name, hook in (("first", settings.first_hook), ("last", settings.last_hook))
    }
    layers["slow"] = _arm("layers/slow", settings, rate=settings.preset_rate)
    return {
        "centre": _measure("centre", {"centre": base_stages}),
        "layers": _measure("layers", {"centre": base_stages, **layers}, Sweeps(seeds=few)),
        "sizes": _sizes(settings, base_stages),
        "amounts": _amounts(settings, base_stages),
        "report": _measure("report", {**_report(settings), **_conditions(settings)}),
    }


def base_arm(base: language.LanguageSettings) -> ArmStages:
    """The base configuration, with the partners of all its pairs of seeds."""
    each = language.base_arm(base)
    data = each.train.needed["activations"]
    return ArmStages(each.evaluate, _partners("centre", each.train, each.evaluate, data))


def _sizes(settings: TokensSettings, base_stages: ArmStages) -> Stage:
    """Sweeps over size at equal tokens and at equal updates per latent.

    The largest dictionary is the same in both.
    """
    base, each_latent = settings.base, settings.base.tokens // settings.large
    arms = {
        "centre": base_stages,
        "large": _arm("sizes/large", settings, n=settings.large, few=True),
    }
    points: dict[str, dict[int, str]] = {
        "equal_tokens": {base.n_latents: "centre", settings.large: "large"},
        "equal_updates": {settings.large: "large"},
    }
    for n in settings.sizes:
        points["equal_tokens"][n] = f"tokens{n}"
        arms[f"tokens{n}"] = _arm(f"sizes/tokens{n}", settings, n=n)
    for n in (*settings.sizes, base.n_latents):
        points["equal_updates"][n] = f"updates{n}"
        arms[f"updates{n}"] = _arm(f"sizes/updates{n}", settings, n=n, distinct=n * each_latent)
    return _measure("sizes", arms, _sweeps(points, settings.compared, settings))


def _amounts(settings: TokensSettings, base_stages: ArmStages) -> Stage:
    """Sweeps over distinct tokens at equal epochs and at equal tokens seen."""
    base = settings.base
    most = _arm("amounts/most", settings, distinct=settings.most, few=True)
    arms = {"centre": base_stages, "most": most}
    points = {
        "equal_epochs": {base.tokens: "centre", settings.most: "most"},
        "equal_seen": {base.tokens: "centre"},
    }
    for distinct in settings.epochs_distinct:
        points["equal_epochs"][distinct] = f"epochs{distinct}"
        arms[f"epochs{distinct}"] = _arm(f"amounts/epochs{distinct}", settings, distinct=distinct)
    for distinct in settings.seen_distinct:
        points["equal_seen"][distinct] = f"seen{distinct}"
        arms[f"seen{distinct}"] = _arm(
            f"amounts/seen{distinct}",
            settings,
            distinct=distinct,
            epochs=_epochs(base.tokens * base.epochs, distinct),
        )
    return _measure("amounts", arms, _sweeps(points, settings.scaled, settings))


def _epochs(seen: int, distinct: int) -> int:
    if seen % distinct:
        raise UserError(
            f"tokens: {seen:,} tokens seen are no whole number of passes over {distinct:,};"
            " take a divisor"
        )
    return seen // distinct


def _sweeps(
    points: dict[str, dict[int, str]], compared: tuple[int, int], settings: TokensSettings
) -> Sweeps:
    sweeps = (
        Sweep(name, tuple(sorted(found)), tuple(found[at] for at in sorted(found)), compared)
        for name, found in points.items()
    )
    return Sweeps(tuple(sweeps), len(settings.base.few_seeds))


def _report(settings: TokensSettings) -> dict[str, ArmStages]:
    """The report's own setting on our model, as far as the report states it.

    It names no learning rate: one arm has the preset's, another the base configuration's.
    """
    rates = {"report": settings.preset_rate, "faster": settings.base.learning_rate}
    return {
        name: _arm(
            f"report/{name}",
            settings,
            n=settings.report_latents,
            k=settings.report_k,
            distinct=settings.report_tokens,
            epochs=settings.report_epochs,
            batch=settings.report_batch,
            rate=rate,
            hook=settings.first_hook,
            live_on_own=True,
        )
        for name, rate in rates.items()
    }


CONDITIONS = {
    "gpt2_layer0": ("blocks.0.hook_resid_pre", 128, 8, 1_024, 8),
    "gpt2_layer6": ("blocks.6.hook_resid_pre", 128, 8, 1_024, 8),
    "gpt2_layer6_512": ("blocks.6.hook_resid_pre", 512, 32, 1_024, 10),
    "gpt2_layer6_512_scaled": ("blocks.6.hook_resid_pre", 512, 32, 32_768, 10),
}
"""The report's conditions on its own model: hook, latents, k, distinct tokens rounded to batches,
epochs. The report used other text; these arms read the corpus of all sections."""


def _conditions(settings: TokensSettings) -> dict[str, ArmStages]:
    """The report's conditions on its own model, if the profile has it."""
    if not settings.report_model:
        return {}
    there = replace(settings, base=replace(settings.base, model=settings.report_model))
    return {
        name: _arm(
            f"report/{name}",
            there,
            hook=hook,
            n=n,
            k=k,
            distinct=distinct,
            epochs=epochs,
            batch=settings.report_batch,
            live_on_own=True,
        )
        for name, (hook, n, k, distinct, epochs) in CONDITIONS.items()
    }


def _arm(
    name: str,
    settings: TokensSettings,
    *,
    hook: str = "",
    n: int = 0,
    k: int = 0,
    distinct: int = 0,
    epochs: int = 0,
    batch: int = 0,
    rate: float = 0.0,
    few: bool = False,
    live_on_own: bool = False,
) -> ArmStages:
    """An arm that differs from the base configuration in what is given."""
    base = settings.base
    base_training = language.base_arm(base).train.config
    n, distinct = n or base.n_latents, distinct or base.tokens
    dictionary = replace(
        base_training.dictionary,
        n_latents=n,
        k=k or min(base.k, n // settings.smallest_share),
        epochs=epochs or base.epochs,
        batch_size=batch or base_training.dictionary.batch_size,
        learning_rate=rate or base.learning_rate,
    )
    hook = hook or base.hook
    evaluation_text = _read(base, hook, base.tokens)
    # No more tokens than in the base configuration are the front of the same store.
    data = evaluation_text if distinct <= base.tokens else _read(base, hook, settings.most)
    seeds = base.fewest_seeds if few else base.few_seeds
    training = replace(base_training, dictionary=dictionary, seeds=seeds, samples=distinct)
    train = arm(f"tokens/{name}", data, training, ComparisonConfig(permutations=0)).train
    own_samples = distinct if distinct <= settings.own_samples else 0
    quality = HeldoutConfig(dictionary, own_samples, live_on_own)
    return _evaluated(name, train, evaluation_text, quality, few)


def _read(base: language.LanguageSettings, hook: str, tokens: int) -> Stage:
    return language.read(
        hook,
        tokens,
        heldout_contexts=base.heldout_contexts,
        model=base.model,
    )


def _evaluated(
    name: str, train: Stage, data: Stage, quality: HeldoutConfig, few: bool
) -> ArmStages:
    """Evaluate and compare on the base configuration's text, whatever the arm was trained on."""
    evaluate = Stage(
        f"tokens/{name}/evaluate",
        "audit.evaluation.heldout:evaluate_heldout",
        quality,
        {"dictionaries": train, "activations": data},
    )
    return ArmStages(evaluate, _partners(name, train, evaluate, data, few))


def _partners(name: str, train: Stage, evaluate: Stage, data: Stage, few: bool = False) -> Stage:
    # Arms of few seeds have many latents, so that one scramble fixes the third decimal.
    config = PartnersConfig(len(train.config.seeds), chance_pairs=1 if few else None)
    return Stage(
        f"tokens/{name}/partners",
        "audit.analyses.partners:partners",
        config,
        {"dictionaries": train, "evaluation": evaluate, "activations": data},
    )


@dataclass(frozen=True)
class _NoSettings:
    """No settings: the measuring stage has none of its own."""


def _measure(part: str, arms: dict[str, ArmStages], config: object = None) -> Stage:
    inputs = {
        f"{name}__{what}": stage
        for name, each in arms.items()
        for what, stage in (("evaluation", each.evaluation), ("partners", each.partners))
    }
    return Stage(f"tokens/{part}", f"{MEASUREMENTS}:{part}", config or _NoSettings(), inputs)


def printed(config: TokensSettings) -> dict:
    """Settings that the text mentions."""
    base = config.base
    return {
        "latents": base.n_latents,
        "k": base.k,
        "tokens": base.tokens,
        "epochs": base.epochs,
        "seen": base.tokens * base.epochs,
        "seeds": len(base.seeds),
        "few_seeds": len(base.few_seeds),
        "fewest_seeds": len(base.fewest_seeds),
        "heldout_contexts": base.heldout_contexts,
        "smallest": min(config.sizes),
        "large": config.large,
        "compared_small": config.compared[0],
        "compared_large": config.compared[1],
        "tokens_each_latent": base.tokens // config.large,
        "fewest_tokens": min(config.epochs_distinct),
        "most_tokens": config.most,
        "scaled_few": config.scaled[0],
        "scaled_many": config.scaled[1],
        "times": config.scaled[1] // config.scaled[0],
        **{name: Scalar(value, 1, tolerance=0.0) for name, value in THRESHOLDS.items()},
        "rate": Scalar(base.learning_rate, 3, tolerance=0.0),
        "preset_rate": Scalar(config.preset_rate, 4, tolerance=0.0),
        "report_latents": config.report_latents,
        "report_k": config.report_k,
        "report_tokens": config.report_tokens,
        "report_epochs": config.report_epochs,
        "report_steps": config.report_epochs * -(-config.report_tokens // config.report_batch),
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("token_sizes", "tokens.sizes", "language.tokens"),
        Figure("token_amounts", "tokens.amounts", "language.tokens"),
    ),
    tables=(
        "tokens",
        "tokens_differences",
    ),
)
