"""An arm of an experiment: dictionaries of one kind, their evaluation and their comparison."""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.evaluation.config import EvaluationConfig
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import ActivationsConfig as TextActivationsConfig
from audit.subjects.modular_addition.config import Position, Subject, activations_config
from audit.training.config import ControlConfig
from seedstability.dictionaries.config import DictionaryConfig, TrainingConfig
from seedstability.similarity.config import ComparisonConfig


@dataclass(frozen=True)
class NoSettings:
    """Settings of a measuring stage that has none."""


@dataclass(frozen=True)
class Arm:
    """The stages of one arm."""

    data: Stage
    """Activations on which the dictionaries are trained."""
    train: Stage
    """Trains, or constructs, the dictionaries of all seeds."""
    evaluate: Stage
    """Reconstruction metrics of each dictionary on training and held-out samples."""
    compare: Stage
    """Similarities between seeds, with chance levels."""

    @property
    def results(self) -> dict[str, Stage]:
        """The stages that give `arm_results.ArmResults`."""
        return {"evaluation": self.evaluate, "comparison": self.compare}


def activations(subject: Subject, seed: int, layer: int, position: Position = "report") -> Stage:
    """Activations of a subject, as a stage that all experiments share."""
    return Stage(
        f"activations/{subject}{seed}_layer{layer}_{position}",
        "audit.subjects.modular_addition.stages:activations",
        activations_config(subject, seed, layer, position),
    )


def arm(
    name: str,
    data: Stage,
    training: TrainingConfig | ControlConfig,
    comparison: ComparisonConfig,
) -> Arm:
    """Train dictionaries on `data`, evaluate them and compare the seeds."""
    of_text = isinstance(data.config, TextActivationsConfig)
    kind = "control" if isinstance(training, ControlConfig) else "train_any" if of_text else "train"
    train = Stage(
        f"{name}/train",
        f"audit.training.stages:{kind}",
        training,
        {"activations": data},
    )
    return evaluated_arm(name, data, train, training.dictionary, comparison)


def evaluated_arm(
    name: str,
    data: Stage,
    train: Stage,
    dictionary: DictionaryConfig,
    comparison: ComparisonConfig,
) -> Arm:
    """Evaluate and compare the dictionaries that the stage `train` returns."""
    evaluate = Stage(
        f"{name}/evaluate",
        "audit.evaluation.stages:evaluate",
        EvaluationConfig(dictionary),
        {"dictionaries": train, "activations": data},
    )
    compare = Stage(
        f"{name}/compare",
        "audit.analyses.similarity:compare",
        comparison,
        {"dictionaries": train, "evaluation": evaluate, "activations": data},
    )
    return Arm(data, train, evaluate, compare)


def results_of(arms: Mapping[str, Arm]) -> dict[str, dict[str, Stage]]:
    """Inputs of a measuring stage: the `ArmResults` of each arm by its name."""
    return {name: each.results for name, each in arms.items()}
