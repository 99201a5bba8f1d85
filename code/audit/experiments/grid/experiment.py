"""The third report's grid: models by layers by sizes by seeds, for the profile `full`.

Three models, five hook points in each, four sizes and twenty seeds are the 1,200 trainings that the
report calls for. Profile `smoke` has the small model alone, so that every commit tests the code.
"""

from dataclasses import dataclass, replace

from audit.experiments.common.arms import Arm, arm, results_of
from audit.experiments.common.declaration import Experiment
from audit.experiments.language.experiment import read
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import OURS, shape_of
from seedstability.dictionaries.config import TOPK, TrainingConfig
from seedstability.similarity.config import ComparisonConfig


@dataclass(frozen=True)
class GridConfig:
    """Factors of the grid."""

    models: tuple[str, ...] = ("gpt2", "pythia-160m", OURS)
    """Models."""
    layers: int = 5
    """Hook points per model: the inputs of evenly spaced blocks, and the output of the last."""
    sizes: tuple[int, ...] = (512, 1024, 4096, 16384)
    """Numbers of latents."""
    k: int = 32
    """Latents kept for each token, the report's."""
    seeds: tuple[int, ...] = tuple(range(20))
    """Seeds of each arm."""
    tokens: int = 1_048_576
    """Distinct training tokens, seen once."""
    batch_size: int = 1024
    """Tokens per step."""
    heldout_contexts: int = 400
    """Held-out contexts."""


full = GridConfig()
PROFILES = {
    # The paper leaves out the 1,200 trainings.
    "paper": replace(full, models=()),
    "smoke": replace(
        full,
        models=(OURS,),
        layers=2,
        sizes=(64,),
        k=8,
        seeds=(0, 1, 2),
        tokens=4096,
        batch_size=256,
        heldout_contexts=40,
    ),
    "full": full,
}


def parts(config: GridConfig) -> dict[str, Stage]:
    """One stage that measures every point of the grid; none if there are no models."""
    if not config.models:
        return {}
    return {
        "points": Stage(
            "grid/points",
            "audit.experiments.grid.measurements:points",
            config,
            {"arms": results_of(arms(config))},
        )
    }


def hooks(model: str, layers: int) -> list[str]:
    """Hook points at `layers` evenly spaced places of a model's residual stream.

    The first is after the embeddings, the last after all blocks.

    Raises:
        UserError: unknown model.
    """
    blocks, _ = shape_of(model)
    starts = [round(i * blocks / (layers - 1)) for i in range(layers - 1)]
    return [f"blocks.{block}.hook_resid_pre" for block in starts] + [
        f"blocks.{blocks - 1}.hook_resid_post"
    ]


def arms(config: GridConfig) -> dict[str, Arm]:
    """One arm per model, hook point and size, with all seeds."""
    return {
        f"{_name(model)}_{place}_n{size}": _arm(config, model, hook, size)
        for model in config.models
        for place, hook in enumerate(hooks(model, config.layers))
        for size in config.sizes
    }


def _arm(config: GridConfig, model: str, hook: str, size: int) -> Arm:
    data = read(
        hook,
        config.tokens,
        heldout_contexts=config.heldout_contexts,
        model=model,
    )
    dictionary = replace(TOPK, n_latents=size, k=config.k, epochs=1, batch_size=config.batch_size)
    training = TrainingConfig(dictionary, config.seeds, samples=config.tokens)
    return arm(f"grid/{model}/{hook}/{size}", data, training, ComparisonConfig(permutations=0))


def _name(model: str) -> str:
    return model.replace("-", "_")


EXPERIMENT = Experiment(
    PROFILES,
    parts,
)
