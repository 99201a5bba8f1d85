"""Section "Code and prose": stability within and across training corpora (C27).

The dictionaries of the base configuration are trained on code alone or on prose alone. The section
tests whether they are as stable as those trained on both, and whether latents that are stable in
one corpus recur in the other.
"""

from dataclasses import dataclass

from audit.experiments.common.arms import Arm, arm, results_of
from audit.experiments.common.declaration import Experiment, Figure
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Inputs, Stage
from audit.subjects.language_model.config import DOMAINS, Domain
from seedstability.dictionaries.config import TrainingConfig
from seedstability.similarity.config import ComparisonConfig

MEASUREMENTS = "audit.experiments.domains.measurements"


@dataclass(frozen=True)
class DomainsSettings:
    """Settings of the section on corpora; only the text varies."""

    base: language.LanguageSettings = language.paper
    """Base configuration."""


paper = DomainsSettings()
PROFILES = {name: DomainsSettings(settings) for name, settings in language.PROFILES.items()}


def parts(settings: DomainsSettings) -> dict[str, Stage]:
    """Stages of each part of the section."""
    alone = {domain: _alone(settings.base, domain) for domain in DOMAINS}
    everything = alone | {"both": language.base_arm(settings.base)}
    return {
        "within": _measure("within", {"arms": results_of(everything)}, settings),
        "across": _measure("across", {"pairs": _across(alone)}, settings),
    }


def _alone(base: language.LanguageSettings, domain: Domain) -> Arm:
    """The base configuration with few seeds, trained on one domain."""
    data = language.read(
        base.hook,
        base.tokens,
        domains=(domain,),
        heldout_contexts=base.heldout_contexts,
        model=base.model,
    )
    training = TrainingConfig(language.dictionary(base), base.few_seeds, samples=base.tokens)
    return arm(f"domains/{domain}", data, training, ComparisonConfig(permutations=0))


def _across(alone: dict[Domain, Arm]) -> Stage:
    code, prose = (alone[domain] for domain in DOMAINS)
    return Stage(
        "domains/code_prose",
        "audit.analyses.domains:compare_domains",
        ComparisonConfig(permutations=0),
        {
            "first": code.train,
            "second": prose.train,
            "first_activations": code.data,
            "second_activations": prose.data,
        },
    )


def _measure(part: str, inputs: Inputs, config: DomainsSettings) -> Stage:
    return Stage(f"domains/{part}", f"{MEASUREMENTS}:{part}", config, inputs)


def printed(config: DomainsSettings) -> dict:
    """Settings that the text mentions."""
    base = config.base
    return {
        "seeds": len(base.few_seeds),
        "latents": base.n_latents,
        "tokens": base.tokens,
        "epochs": base.epochs,
    }


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    printed,
    figures=(Figure("domains", "domains.across", "language.domains"),),
    tables=("domains",),
)
