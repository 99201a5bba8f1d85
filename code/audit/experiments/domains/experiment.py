"""Section "Code and prose": does it matter what the model reads (claim C27, several corpora)?

The centre's setting, but the dictionaries see code alone or prose alone. Are they as stable as
those that see both, and are the stable latents of the one stable in the other?
"""

from dataclasses import dataclass

from audit.experiments.common.arms import Arm, arm, measured
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import DOMAINS, Domain
from seedstability.dictionaries.config import TrainingConfig
from seedstability.similarity.config import ComparisonConfig

HERE = "audit.experiments.domains.measurements"


@dataclass(frozen=True)
class Settings:
    """What varies in this section: nothing but the text."""

    centre: language.Settings = language.paper
    """The centre."""


paper = Settings()
PROFILES = {name: Settings(settings) for name, settings in language.PROFILES.items()}


def parts(settings: Settings) -> dict[str, Stage]:
    """The parts of the section, each with the stages it measures."""
    alone = {domain: _alone(settings.centre, domain) for domain in DOMAINS}
    everything = alone | {"both": language.centre(settings.centre)}
    return {
        "within": _measure("within", measured(everything), settings),
        "across": _measure("across", {"pairs": _across(alone)}, settings),
        "settings": _measure("settings", {}, settings),
    }


def _alone(centre: language.Settings, domain: Domain) -> Arm:
    """The centre's dictionaries, few seeds, on one kind of text."""
    data = language.read(
        centre.hook,
        centre.tokens,
        domains=(domain,),
        heldout_contexts=centre.heldout_contexts,
        model=centre.model,
    )
    training = TrainingConfig(language.dictionary(centre), centre.few_seeds, samples=centre.tokens)
    return arm(f"domains/{domain}", data, training, ComparisonConfig(permutations=0))


def _across(alone: dict[Domain, Arm]) -> Stage:
    code, prose = (alone[domain] for domain in DOMAINS)
    return Stage(
        "domains/code_prose",
        "audit.analyses.domains:across",
        ComparisonConfig(permutations=0),
        {
            "first": code.train,
            "second": prose.train,
            "first_activations": code.train.inputs["activations"],
            "second_activations": prose.train.inputs["activations"],
        },
    )


def _measure(part: str, inputs: dict[str, Stage], config: Settings) -> Stage:
    return Stage(f"domains/{part}", f"{HERE}:{part}", config, inputs)
