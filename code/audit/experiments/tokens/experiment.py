"""Section "Layers, sizes and tokens": the third report's grid on our model (claims C20 to C26).

One factor at a time varies around the base configuration: the layer; the size, at equal tokens and
at equal updates per latent; the distinct tokens, at equal epochs as in the report, and at equal
tokens seen, where the number of steps is fixed. All arms are evaluated on the same held-out text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from audit.analyses.config import PartnersConfig
from audit.evaluation.config import HeldoutConfig
from audit.experiments.common.arms import NoSettings, arm
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Inputs, Stage
from audit.pipeline.results import Scalar
from seedstability.dictionaries.config import TOPK, TrainingConfig
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
    """The model on which the report's conditions are trained too; none if empty."""
    report_hooks: tuple[str, str, str] = (
        "blocks.0.hook_resid_pre",
        "blocks.6.hook_resid_pre",
        "blocks.11.hook_resid_post",
    )
    """Its residual stream before block 0, in the middle and at the end."""


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


def parts(settings: TokensSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    base = base_arm(settings.base)
    layers = {
        "centre": base,
        "first": _arm("layers/first", settings, hook=settings.first_hook),
        "last": _arm("layers/last", settings, hook=settings.last_hook),
        "slow": _arm("layers/slow", settings, rate=settings.preset_rate),
    }
    return {
        "centre": _measure("centre", {"arm": base}, NoSettings()),
        "layers": _measure("layers", {"arms": layers}, settings),
        "sizes": _measure("sizes", {"base": base, "sweeps": _sizes(settings, base)}, settings),
        "amounts": _measure(
            "amounts", {"base": base, "sweeps": _amounts(settings, base)}, settings
        ),
        "report": _measure(
            "report", {"arms": _report(settings) | _conditions(settings)}, NoSettings()
        ),
    }


def passes(settings: TokensSettings, others: Sequence[int]) -> Stage:
    """Sweep over passes with the base configuration's tokens, for other numbers than its own."""
    base = base_arm(settings.base)
    sweep = {str(n): _arm(f"passes/{n}", settings, epochs=n) for n in others}
    sweep[str(settings.base.epochs)] = base
    return _measure("passes", {"base": base, "sweep": sweep}, settings)


def extrapolation(settings: TokensSettings) -> Stage:
    """Stability on more tokens than the base configuration's, predicted from fewer."""
    sweep = _amounts(settings, base_arm(settings.base))["equal_epochs"]
    function = "audit.experiments.tokens.extrapolation:extrapolation"
    return Stage("tokens/extrapolation", function, settings, {"sweep": sweep})


def base_arm(base: language.LanguageSettings) -> Inputs:
    """The base configuration, with the partners of all its pairs of seeds."""
    each = language.base_arm(base)
    return _arm_stages("centre", each.train, each.evaluate, each.data)


Sweep: TypeAlias = dict[str, Inputs]
"""Arms by the value of their factor."""


def _sizes(settings: TokensSettings, base: Inputs) -> dict[str, Sweep]:
    """Sweeps over size at equal tokens and at equal updates per latent.

    The largest dictionary is the same in both.
    """
    n_latents, each_latent = settings.base.n_latents, settings.base.tokens // settings.large
    large = {str(settings.large): _arm("sizes/large", settings, n=settings.large, few=True)}
    equal_tokens = {str(n): _arm(f"sizes/tokens{n}", settings, n=n) for n in settings.sizes}
    equal_updates = {
        str(n): _arm(f"sizes/updates{n}", settings, n=n, distinct=n * each_latent)
        for n in (*settings.sizes, n_latents)
    }
    return {
        "equal_tokens": equal_tokens | {str(n_latents): base} | large,
        "equal_updates": equal_updates | large,
    }


def _amounts(settings: TokensSettings, base: Inputs) -> dict[str, Sweep]:
    """Sweeps over distinct tokens at equal epochs and at equal tokens seen."""
    tokens, seen = settings.base.tokens, settings.base.tokens * settings.base.epochs
    equal_epochs = {
        str(distinct): _arm(f"amounts/epochs{distinct}", settings, distinct=distinct)
        for distinct in settings.epochs_distinct
    }
    equal_epochs[str(settings.most)] = _arm(
        "amounts/most", settings, distinct=settings.most, few=True
    )
    equal_seen = {
        str(distinct): _arm(
            f"amounts/seen{distinct}", settings, distinct=distinct, epochs=_epochs(seen, distinct)
        )
        for distinct in settings.seen_distinct
    }
    return {
        "equal_epochs": equal_epochs | {str(tokens): base},
        "equal_seen": equal_seen | {str(tokens): base},
    }


def _epochs(seen: int, distinct: int) -> int:
    if seen % distinct:
        raise UserError(
            f"tokens: {seen:,} tokens seen are no whole number of passes over {distinct:,};"
            " take a divisor"
        )
    return seen // distinct


def _report(settings: TokensSettings) -> dict[str, Inputs]:
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


_CONDITIONS = (
    ("first", "", 128, 8, 0, 8),
    ("middle", "", 128, 8, 0, 8),
    ("last", "", 128, 8, 0, 8),
    ("middle", "_512", 512, 32, 0, 10),
    ("middle", "_512_scaled", 512, 32, 1, 10),
)
"""The report's conditions: place, rest of the name, latents, k, place in `scaled`, epochs.

The report used other text; these arms read the corpus of all sections."""
_PLACES = {"gpt2": {"first": "gpt2_layer0", "middle": "gpt2_layer6"}}
"""Names of the places that the report has on its own model; it has no other."""
_HOOKS = ("first", "middle", "last")


def conditions(model: str) -> dict[str, tuple[str, int, int, int, int]]:
    """The report's conditions on a model, by name: place, latents, k, place in `scaled`, epochs."""
    places = _PLACES.get(model, {place: f"at_{place}" for place in _HOOKS})
    return {
        places[place] + rest: (place, n, k, tokens, epochs)
        for place, rest, n, k, tokens, epochs in _CONDITIONS
        if place in places
    }


def _conditions(settings: TokensSettings) -> dict[str, Inputs]:
    """The report's conditions, if the profile has a model for them."""
    if not settings.report_model:
        return {}
    there = replace(settings, base=replace(settings.base, model=settings.report_model))
    hooks = dict(zip(_HOOKS, settings.report_hooks, strict=True))
    return {
        name: _arm(
            f"report/{name}",
            there,
            hook=hooks[place],
            n=n,
            k=k,
            distinct=settings.scaled[tokens],
            epochs=epochs,
            batch=settings.report_batch,
            live_on_own=True,
        )
        for name, (place, n, k, tokens, epochs) in conditions(settings.report_model).items()
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
) -> Inputs:
    """An arm that differs from the base configuration in what is given."""
    base = settings.base
    n, distinct = n or base.n_latents, distinct or base.tokens
    dictionary = language.dictionary(
        base,
        n_latents=n,
        k=k or min(base.k, n // settings.smallest_share),
        epochs=epochs or base.epochs,
        batch_size=batch or TOPK.batch_size,
        learning_rate=rate or base.learning_rate,
    )
    hook = hook or base.hook
    evaluation_text = _read(base, hook, base.tokens)
    # No more tokens than in the base configuration are the front of the same store.
    data = evaluation_text if distinct <= base.tokens else _read(base, hook, settings.most)
    seeds = base.fewest_seeds if few else base.few_seeds
    training = TrainingConfig(dictionary, seeds, samples=distinct)
    train = arm(f"tokens/{name}", data, training, ComparisonConfig(permutations=0)).train
    own_samples = distinct if distinct <= settings.own_samples else 0
    # All arms are evaluated on the base configuration's text, whatever they were trained on.
    evaluate = Stage(
        f"tokens/{name}/evaluate",
        "audit.evaluation.heldout:evaluate_heldout",
        HeldoutConfig(dictionary, own_samples, live_on_own),
        {"dictionaries": train, "activations": evaluation_text},
    )
    return _arm_stages(name, train, evaluate, evaluation_text, few)


def _read(base: language.LanguageSettings, hook: str, tokens: int) -> Stage:
    return language.read(
        hook,
        tokens,
        heldout_contexts=base.heldout_contexts,
        model=base.model,
        # The most tokens are wanted at one hook point only.
        together=base.together if tokens == base.tokens else (),
    )


def _arm_stages(name: str, train: Stage, evaluate: Stage, data: Stage, few: bool = False) -> Inputs:
    """The stages that give `pair_tables.TokensArm`."""
    partners = Stage(
        f"tokens/{name}/partners",
        "audit.analyses.partners:partners",
        # Arms of few seeds have many latents, so that one scramble fixes the third decimal.
        PartnersConfig(chance_pairs=1 if few else None),
        {"dictionaries": train, "evaluation": evaluate, "activations": data},
    )
    return {"evaluation": evaluate, "partners": partners}


def _measure(part: str, inputs: Inputs, config: object) -> Stage:
    return Stage(f"tokens/{part}", f"{MEASUREMENTS}:{part}", config, inputs)


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
    tables=("tokens", "tokens_differences"),
)
