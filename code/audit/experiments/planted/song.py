"""The synthetic set-up of Song et al. (2025): published figures, ours, and chance."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import torch

from audit.experiments.common.summary import estimate, quality, similarities
from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.planted.experiment import SONG
from audit.pipeline.results import Array, Scalar
from seedstability.stability.chance.closed_form import corrected_for_chance
from seedstability.stability.matching.match import match


def song(config, samples: dict, **inputs: Any) -> dict:
    """Similarity between seeds and with the truth, published and ours, with chance levels."""
    truth = samples["directions"]
    tree: dict = {}
    for name in SONG:
        training = inputs[f"{name}__training"]
        node = similarities(inputs[f"{name}__comparison"], names=("matched_mean", "max_cosine"))
        isotropic = node["matched_mean"]["isotropic"].value
        with_truth = with_directions(training["decoder"], truth)
        tree[name] = {
            "between": node["matched_mean"],
            "best": node["max_cosine"],
            "truth": estimate(with_truth, 3, chance=isotropic),
            "truth_low": Scalar(float(with_truth.min()), 3, tolerance=0.1),
            "truth_high": Scalar(float(with_truth.max()), 3, tolerance=0.1),
            "quality": quality(inputs[f"{name}__evaluation"]),
            "trace": _trace(training["trace"], truth),
        }
    for name, printed in (("relu", config.relu_published), ("topk", config.topk_published)):
        level = tree[name]["between"]["isotropic"].value
        between, low, high = (Scalar(value, 3, tolerance=0.0) for value in printed)
        kappa = Scalar(corrected_for_chance(printed[0], level), 3, tolerance=0.02)
        tree[name]["published"] = {"between": between, "low": low, "high": high, "kappa": kappa}
    return with_platform_tolerance(tree)


def with_directions(decoders: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Mean cosine of each dictionary with the truth under the best assignment, [S]."""
    return np.array([_matched(decoder, directions) for decoder in decoders])


def between_seeds(decoders: np.ndarray) -> float:
    """Mean cosine under the best assignment, averaged over pairs of dictionaries."""
    return float(np.mean([_matched(a, b) for a, b in combinations(decoders, 2)]))


def _matched(A: np.ndarray, B: np.ndarray) -> float:
    a, b = (torch.from_numpy(np.array(W)) for W in (A, B))
    return match(a, b, certify=False).matched_cosines.mean().item()


def _trace(trace: Mapping, truth: np.ndarray) -> dict:
    """Similarity between seeds, and with the truth, over training."""
    decoders = trace["decoder"]
    known = np.array([with_directions(moment, truth).mean() for moment in decoders])
    return {
        "step": Array(np.array(trace["step"], float), 0),
        "between": Array(np.array([between_seeds(moment) for moment in decoders]), 3, 0.03),
        "truth": Array(known, 3, tolerance=0.03),
        "best_truth": Scalar(float(known.max()), 3, tolerance=0.03),
    }
