"""An arm of an experiment: dictionaries of one kind, their evaluation and their comparison."""

from dataclasses import dataclass

from audit.evaluation.config import EvaluationConfig
from audit.pipeline.graph.stage import Stage
from audit.subjects.modular_addition.config import Position, Subject, activations_config
from audit.training.controls_config import ControlConfig
from seedstability.dictionaries.config import DictionaryConfig, TrainingConfig
from seedstability.similarity.config import ComparisonConfig


@dataclass(frozen=True)
class Arm:
    """The stages of one arm."""

    train: Stage
    """Trains, or constructs, the dictionaries of all seeds."""
    evaluate: Stage
    """Reconstruction metrics of each dictionary on training and held-out samples."""
    compare: Stage
    """Similarities between seeds, with chance levels."""


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
    kind = "control" if isinstance(training, ControlConfig) else "train"
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
    return Arm(train, evaluate, compare)


def measurement_inputs(arms: dict[str, Arm]) -> dict[str, Stage]:
    """Inputs of a measuring stage: each arm's evaluation and comparison, under the arm's name."""
    return {
        f"{name}__{what}": stage
        for name, each in arms.items()
        for what, stage in (("evaluation", each.evaluate), ("comparison", each.compare))
    }
