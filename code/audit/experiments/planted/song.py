"""The synthetic set-up of Song et al. (2025): published figures, ours, and chance."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from audit.experiments.common.arm_results import ArmResults
from audit.experiments.common.summary import estimate, quality, similarities
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.planted.experiment import PlantedSettings
from audit.pipeline.results import Array, Scalar
from audit.subjects.synthetic.song import SongSamples
from audit.training.results import Dictionaries, Trace
from seedstability.stability.chance.closed_form import corrected_for_chance
from seedstability.stability.matching.match import match
from seedstability.stability.pairs import all_pairs


def song(
    config: PlantedSettings,
    samples: SongSamples,
    training: Mapping[str, Dictionaries],
    arms: Mapping[str, ArmResults],
) -> dict:
    """Similarity between seeds and with the truth, published and ours, with chance levels."""
    truth = samples["directions"]
    tree: dict = {}
    for name, arm in arms.items():
        node = similarities(arm["comparison"], names=("matched_mean", "max_cosine"))
        isotropic = node["matched_mean"]["isotropic"].value
        with_truth = with_directions(training[name]["decoder"], truth)
        tree[name] = {
            "between": node["matched_mean"],
            "best": node["max_cosine"],
            "truth": estimate(with_truth, 3, chance=isotropic),
            "truth_low": Scalar(float(with_truth.min()), 3, tolerance=0.1),
            "truth_high": Scalar(float(with_truth.max()), 3, tolerance=0.1),
            "quality": quality(arm["evaluation"]),
            "trace": _trace(training[name]["trace"], truth),
        }
    for name, printed in (("relu", config.relu_published), ("topk", config.topk_published)):
        level = tree[name]["between"]["isotropic"].value
        between, low, high = (Scalar(value, 3, tolerance=0.0) for value in printed)
        kappa = Scalar(corrected_for_chance(printed[0], level), 3, tolerance=0.02)
        tree[name]["published"] = {"between": between, "low": low, "high": high, "kappa": kappa}
    return with_platform_tolerance(tree)


def with_directions(
    decoders: Float[ndarray, "S n d"], directions: Float[ndarray, "m d"]
) -> Float[ndarray, " S"]:
    """Mean cosine of each dictionary with the truth under the best assignment."""
    return np.array([_matched(decoder, directions) for decoder in decoders])


def between_seeds(decoders: Float[ndarray, "S n d"]) -> float:
    """Mean cosine under the best assignment, averaged over pairs of dictionaries."""
    pairs = all_pairs(len(decoders))
    return float(np.mean([_matched(decoders[s], decoders[t]) for s, t in pairs]))


def _matched(A: Float[ndarray, "n d"], B: Float[ndarray, "m d"]) -> float:
    a, b = (torch.from_numpy(np.array(W)) for W in (A, B))
    return match(a, b, certify=False).matched_cosines.mean().item()


def _trace(trace: Trace, truth: Float[ndarray, "m d"]) -> dict:
    """Similarity between seeds, and with the truth, over training."""
    decoders = trace["decoder"]
    known = np.array([with_directions(snapshot, truth).mean() for snapshot in decoders])
    between = np.array([between_seeds(snapshot) for snapshot in decoders])
    return {
        "step": Array(np.array(trace["step"], float), 0),
        "between": Array(between, 3, 0.03),
        "truth": Array(known, 3, tolerance=0.03),
        "best_truth": Scalar(float(known.max()), 3, tolerance=0.03),
    }
