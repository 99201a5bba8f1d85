"""Section "Unstable latents": two camps, their contributions and their spans (C30 to C33).

The fourth report claims that reproducibility splits latents into two camps: that the stable ones
carry reconstruction and prediction, and that the unstable ones respond to rare and superficial
patterns but span reproducible subspaces. The section tests these claims on dictionaries of other
sections: the base configurations of the language model and of modular addition.
"""

from dataclasses import dataclass, replace

from audit.analyses.unstable.config import THRESHOLDS, CampsConfig, ClustersConfig, SpansConfig
from audit.evaluation.explanation.config import ExplanationConfig
from audit.evaluation.groups.config import (
    AdditionContributionConfig,
    ContributionConfig,
    LanguageContributionConfig,
    ResponsesConfig,
)
from audit.experiments.common.arms import Arm
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.experiments.modular import experiment as modular
from audit.pipeline.graph.stage import Stage
from audit.pipeline.results import Scalar
from audit.subjects.language_model.config import weights_sha256
from audit.subjects.modular_addition.config import reading_config
from seedstability.stability.config import CAMPS, GroupsConfig

MEASUREMENTS = "audit.experiments.subspaces.measurements"
CAMPS_MODULE = "audit.experiments.subspaces.camps"
EFFECTS_MODULE = "audit.experiments.subspaces.effects"
ARMS = {
    "clean": "topk_clean",
    "leaky": "topk_leaky",
    "clean_relu": "relu_clean",
    "leaky_relu": "relu_leaky",
}
"""Arms of the base configuration of modular addition, by their names in this section."""
SPANNED = ("language", "clean", "leaky")


@dataclass(frozen=True)
class SubspacesSettings:
    """Settings of the section on unstable latents, all fixed before any result was seen."""

    base: language.LanguageSettings = language.paper
    """Base configuration of the language model."""
    addition: modular.ModularSettings = modular.paper
    """Base configuration of modular addition."""
    groups: GroupsConfig = CAMPS
    """Definition of stable and unstable latents."""
    camps: CampsConfig = THRESHOLDS
    """Thresholds of recurrence."""
    dimensions: tuple[int, ...] = (4, 8, 16, 32, 64)
    """Dimensions at which spans are compared, besides the main one."""
    caliper: float = 0.1
    """Largest difference of log10 firing rates in a pair of a stable and an unstable latent."""
    contribution_seeds: int = 10
    """Dictionaries in which groups of latents are removed."""
    contribution_contexts: int = 16
    """Held-out contexts on which the language model then predicts."""
    response_seeds: int = 10
    """Dictionaries whose latents' responses are measured."""
    firings: int = 32
    """Firings of a latent from which the entropy of its tokens is estimated."""
    rules: int = 40
    """Latents, per group and seed, for which a rule is learned."""
    scored: int = 20
    """Active and inactive windows from which a rule is learned, and on which it is scored."""
    parts: int = 5
    """Disjoint groups of seeds in which latents are clustered."""
    cluster_members: int = 6
    """Fewest latents of a cluster."""
    cluster_seeds: int = 3
    """Fewest seeds that a cluster's latents come from."""
    cluster_contexts: int = 100
    """Held-out contexts on which co-activation is measured."""


paper = SubspacesSettings()
PROFILES = {
    "paper": paper,
    # After such a short training all cosines are low, and few latents fire equally often.
    "smoke": replace(
        paper,
        base=language.PROFILES["smoke"],
        addition=modular.PROFILES["smoke"],
        dimensions=(2, 4, 8),
        caliper=1.0,
        contribution_seeds=5,
        contribution_contexts=4,
        response_seeds=5,
        firings=8,
        rules=4,
        scored=4,
        cluster_members=4,
        cluster_contexts=20,
    ),
    "full": replace(
        paper,
        base=language.PROFILES["full"],
        addition=modular.PROFILES["full"],
        contribution_seeds=20,
        response_seeds=20,
        rules=1000,
    ),
}


@dataclass(frozen=True)
class SubspacesMeasurementConfig:
    """Settings of the measuring stages."""

    groups: GroupsConfig
    """Definition of stable and unstable latents."""
    camps: CampsConfig
    """Thresholds of recurrence."""
    caliper: float
    """Largest difference of log10 firing rates in a pair."""
    firings: int
    """Firings of a latent from which entropy is estimated."""
    scored: int
    """Windows on which a rule is scored."""
    parts: int
    """Disjoint groups of seeds in which latents are clustered."""
    share: float = SpansConfig.share
    """Share of the second moments that the main dimension holds."""
    cluster_size: int = ClustersConfig.size
    """Latents per cluster, on average."""


def parts(settings: SubspacesSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    return _parts(settings, _arms(settings))


def language_parts(settings: SubspacesSettings) -> dict[str, Stage]:
    """The same stages for the language model alone."""
    return _parts(settings, {"language": language.base_arm(settings.base)})


def _parts(settings: SubspacesSettings, arms: dict[str, Arm]) -> dict[str, Stage]:
    camps = {name: _camps(name, each, settings) for name, each in arms.items()}
    contributions = {
        "language": _language_contribution(arms["language"], camps["language"], settings)
    }
    if "clean" in arms:
        contributions["clean"] = _addition_contribution(arms["clean"], camps["clean"], settings)
    measured = {
        "camps": camps,
        "worth": contributions,
        "responses": {"language": _responses(arms["language"], camps["language"], settings)},
        "spans": {
            name: _spans(name, arms[name], camps[name], settings)
            for name in SPANNED
            if name in arms
        },
        "clusters": {"language": _clusters(arms["language"], camps["language"], settings)},
    }
    config = SubspacesMeasurementConfig(
        settings.groups,
        settings.camps,
        settings.caliper,
        settings.firings,
        settings.scored,
        settings.parts,
    )
    modules = {"camps": CAMPS_MODULE, "worth": EFFECTS_MODULE, "responses": EFFECTS_MODULE}
    return {
        part: Stage(
            f"subspaces/{part}", f"{modules.get(part, MEASUREMENTS)}:{part}", config, {"arms": each}
        )
        for part, each in measured.items()
    }


def _arms(settings: SubspacesSettings) -> dict[str, Arm]:
    base = modular.base_arms(settings.addition)
    return {"language": language.base_arm(settings.base)} | {
        name: base[arm] for name, arm in ARMS.items()
    }


def _camps(name: str, arm: Arm, settings: SubspacesSettings) -> Stage:
    return Stage(
        f"subspaces/{name}/camps",
        "audit.analyses.unstable.camps:camps",
        settings.camps,
        {"dictionaries": arm.train, "evaluation": arm.evaluate, "activations": arm.data},
    )


def _spans(name: str, arm: Arm, camps: Stage, settings: SubspacesSettings) -> Stage:
    config = SpansConfig(
        settings.groups,
        dimensions=settings.dimensions,
        center=arm.train.config.dictionary.decoder_bias,
    )
    return Stage(
        f"subspaces/{name}/spans",
        "audit.analyses.unstable.spans:unstable_spans",
        config,
        {"dictionaries": arm.train, "camps": camps, "activations": arm.data},
    )


def _clusters(arm: Arm, camps: Stage, settings: SubspacesSettings) -> Stage:
    config = ClustersConfig(
        arm.train.config.dictionary,
        settings.groups,
        parts=settings.parts,
        fewest=settings.cluster_members,
        fewest_seeds=settings.cluster_seeds,
        contexts=settings.cluster_contexts,
    )
    return Stage(
        "subspaces/language/clusters",
        "audit.analyses.unstable.clusters:unstable_clusters",
        config,
        {"dictionaries": arm.train, "camps": camps, "activations": arm.data},
    )


def _contribution(arm: Arm, settings: SubspacesSettings) -> ContributionConfig:
    return ContributionConfig(
        arm.train.config.dictionary,
        settings.groups,
        settings.caliper,
        arm.train.config.seeds[: settings.contribution_seeds],
    )


def _language_contribution(arm: Arm, camps: Stage, settings: SubspacesSettings) -> Stage:
    base = settings.base
    config = LanguageContributionConfig(
        _contribution(arm, settings),
        base.model,
        weights_sha256(base.model),
        base.hook,
        settings.contribution_contexts,
    )
    return Stage(
        "subspaces/language/worth",
        "audit.evaluation.groups.contribution:contribution_in_language_model",
        config,
        {"dictionaries": arm.train, "activations": arm.data, "camps": camps},
    )


def _addition_contribution(arm: Arm, camps: Stage, settings: SubspacesSettings) -> Stage:
    return Stage(
        "subspaces/clean/worth",
        "audit.evaluation.groups.contribution:contribution_in_addition",
        AdditionContributionConfig(_contribution(arm, settings), reading_config("clean", 0)),
        {"dictionaries": arm.train, "activations": arm.data, "camps": camps},
    )


def _responses(arm: Arm, camps: Stage, settings: SubspacesSettings) -> Stage:
    base = settings.base
    config = ResponsesConfig(
        ExplanationConfig(
            arm.train.config.dictionary,
            base.model,
            weights_sha256(base.model),
            shown=settings.scored,
            contrast=4 * settings.scored,
            scored=settings.scored,
        ),
        settings.groups,
        settings.caliper,
        base.seeds[: settings.response_seeds],
        settings.firings,
        rules=settings.rules,
    )
    return Stage(
        "subspaces/language/responses",
        "audit.evaluation.groups.responses:responses",
        config,
        {
            "dictionaries": arm.train,
            "activations": arm.data,
            "camps": camps,
            "text": language.text(base.model),
        },
    )


def printed(config: SubspacesSettings) -> dict:
    """Settings that the text mentions."""
    base, addition = config.base, config.addition
    return {
        "seeds": len(base.seeds),
        "leaky_seeds": len(addition.seeds),
        "clean_seeds": len(addition.clean_seeds),
        "latents": base.n_latents,
        "addition_latents": addition.n_latents,
        "threshold": Scalar(config.groups.threshold, 1, tolerance=0.0),
        "fewest": config.groups.fewest,
        "caliper": Scalar(config.caliper, 1, tolerance=0.0),
        "caliper_percent": Scalar(100 * (10**config.caliper - 1), 0, "%", tolerance=0.0),
        "worth_seeds": min(config.contribution_seeds, len(base.seeds)),
        "worth_contexts": config.contribution_contexts,
        "response_seeds": min(config.response_seeds, len(base.seeds)),
        "firings": config.firings,
        "rules": config.rules,
        "scored": config.scored,
        "parts": config.parts,
        "cluster_members": config.cluster_members,
        "cluster_contexts": config.cluster_contexts,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(
        Figure("subspaces", "subspaces.camps", "latents.subspaces"),
        Figure("unstable_spans", "subspaces.spans", "latents.unstable_spans"),
    ),
    tables=("subspaces_worth", "subspaces_responses", "subspaces_spans"),
)
