"""Estimate the cost of stages that never ran: seconds on one core, memory and disk.

The estimates are rough on purpose: a plan has to tell hours from days. The constants were measured
on one core of an Intel Xeon with AVX2 kernels.
"""

from audit.evaluation.config import EvaluationConfig
from audit.pipeline.execution.forecast import Expected
from audit.pipeline.graph.stage import Stage
from audit.subjects.language_model.config import (
    OURS,
    SMALL,
    ActivationsConfig,
    TextConfig,
    shape_of,
)
from audit.training.config import FinetuneConfig
from seedstability.dictionaries.config import TrainingConfig
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.cost import estimate_cost as comparison_cost

_SECONDS_PER_SAMPLE = 2.2e-6
"""Training time that does not depend on the size: moving data, choosing latents."""
_SECONDS_PER_SAMPLE_AND_WEIGHT = 3.8e-11
"""Training time per decoder weight and sample: 81 µs at 16,384 latents of width 128."""
_MULTIPLY_ADDS_PER_SECOND = 2e10
"""Throughput of a transformer's forward pass, attention included."""
_TEXT_SECONDS = 20.0
_PROCESS_BYTES = 0.5e9
"""Memory of a process without any data."""
_STORED_SAMPLES = 32_768
"""Activations that a result holds."""


def estimate(stage: Stage) -> Expected | None:
    """Estimate the cost of a stage on a language model; None for stages of other kinds."""
    config = stage.config
    if isinstance(config, TextConfig):
        return Expected(_TEXT_SECONDS, 1.5e9)
    if isinstance(config, ActivationsConfig):
        return _activations(config)
    data = stage.needed.get("activations")
    if data is None or not isinstance(data.config, ActivationsConfig):
        return None
    _, d = shape_of(data.config.model)
    if isinstance(config, FinetuneConfig):
        config = config.training
    if isinstance(config, TrainingConfig):
        return _training(config, data.config, d)
    if "dictionaries" not in stage.needed:
        return None
    training = stage.needed["dictionaries"].config
    training = training.training if isinstance(training, FinetuneConfig) else training
    if isinstance(config, EvaluationConfig) and isinstance(training, TrainingConfig):
        return _evaluation(training, data.config, d)
    if isinstance(config, ComparisonConfig) and isinstance(training, TrainingConfig):
        n, seeds = training.dictionary.n_latents, len(training.seeds)
        seconds, memory = comparison_cost(config, n, d, seeds, _STORED_SAMPLES, True)
        return Expected(seconds, memory)
    return None


def _activations(config: ActivationsConfig) -> Expected:
    n_layers, d = shape_of(config.model)
    hooks = (config.hook, *config.together)
    blocks = min(max(int(hook.split(".")[1]) for hook in hooks) + 1, n_layers)
    tokens = config.tokens + config.heldout_contexts * SMALL.corpus.context
    seconds = tokens * blocks * 12 * d * d / _MULTIPLY_ADDS_PER_SECOND
    # Weights include embeddings and unembeddings; the public models have some 50,000 tokens.
    vocabulary = 4_096 if config.model == OURS else 50_304
    weights = 4 * (n_layers * 12 * d * d + vocabulary * d * 2)
    disk = 4 * config.tokens * d * len(set(hooks))
    return Expected(seconds, _PROCESS_BYTES + 2 * weights + 0.3e9, disk)


def _training(config: TrainingConfig, data: ActivationsConfig, d: int) -> Expected:
    settings, seeds = config.dictionary, len(config.seeds)
    samples = (config.samples or data.tokens) * settings.epochs
    weights_per_matrix = settings.n_latents * d
    seconds = (
        seeds
        * samples
        * (_SECONDS_PER_SAMPLE + _SECONDS_PER_SAMPLE_AND_WEIGHT * weights_per_matrix)
    )
    # Encoder, decoder and initial decoder of each seed; Adam's two moments of the one in training.
    memory = 4 * weights_per_matrix * (3 * seeds + 6) + 4 * _STORED_SAMPLES * d
    return Expected(seconds, _PROCESS_BYTES + memory, dictionaries=seeds)


def _evaluation(training: TrainingConfig, data: ActivationsConfig, d: int) -> Expected:
    n, seeds = training.dictionary.n_latents, len(training.seeds)
    samples = _STORED_SAMPLES + data.heldout_contexts * SMALL.corpus.context
    return Expected(
        2 * seeds * samples * n * d / _MULTIPLY_ADDS_PER_SECOND, _PROCESS_BYTES + 12 * seeds * n * d
    )
