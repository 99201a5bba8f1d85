"""Values of section "Layers, sizes and tokens", one function per part."""

import numpy as np

from audit.experiments.common.summary import estimate, similarity
from audit.experiments.tokens.contrasts import (
    HEADLINE,
    contrast,
    deflation,
    with_interval_tolerance,
)
from audit.experiments.tokens.experiment import THRESHOLDS
from audit.experiments.tokens.pair_tables import SCOPES, STATISTICS, MeasuredArm
from audit.experiments.tokens.sweeps import quality, sweep_point, sweep_values
from audit.pipeline.results import Scalar
from seedstability.stability.statistics.pair_effects import pair_effects


def centre(config, **inputs: dict) -> dict:
    """The base configuration over all its seeds, with effects of pairs and seeds (C21, C23)."""
    arm = MeasuredArm.of(inputs, "centre")
    tree = arm_values(arm) | {"seeds": arm.seeds, "deflation": deflation(arm)}
    for scope in SCOPES:
        tree[f"pairs_{scope}"] = _pairs(arm.table(HEADLINE, scope=scope))
    return with_interval_tolerance(tree)


def layers(config, **inputs: dict) -> dict:
    """First and last layer, and the preset's learning rate, minus the base configuration (C24)."""
    names = ("first", "centre", "last", "slow")
    arms = {name: MeasuredArm.of(inputs, name, config.seeds) for name in names}
    tree: dict = {name: arm_values(arm) for name, arm in arms.items()}
    tree["points"] = {name: sweep_point(arm) for name, arm in arms.items()}
    for name in ("first", "last", "slow"):
        tree[f"{name}_less_centre"] = contrast(arms[name], arms["centre"])
    return with_interval_tolerance(tree)


def report(config, **inputs: dict) -> dict:
    """The report's own setting, imitated on our model and, in `full`, on its own (C20 to C23)."""
    tree: dict = {}
    for key in inputs:
        name, _, what = key.partition("__")
        if what == "partners":
            arm = MeasuredArm.of(inputs, name)
            tree[name] = arm_values(arm) | {
                "deflation": deflation(arm),
                "pairs": _pairs(arm.table(HEADLINE, scope="full")),
            }
    own = tree.pop("report")
    return with_interval_tolerance(own | tree)


def sizes(config, **inputs: dict) -> dict:
    """Sizes at equal tokens and at equal updates per latent (C25)."""
    return with_interval_tolerance(sweep_values(config, inputs))


def amounts(config, **inputs: dict) -> dict:
    """Distinct tokens at equal epochs and at equal tokens seen (C26)."""
    return with_interval_tolerance(sweep_values(config, inputs))


def arm_values(arm: MeasuredArm) -> dict:
    """Every statistic over all and over live latents, with all chance levels."""
    tree: dict = {
        scope: {
            name: similarity(
                arm.table(name, scope=scope),
                arm.levels(name, scope),
                share=name in THRESHOLDS,
            )
            for name in STATISTICS
        }
        for scope in SCOPES
    }
    return tree | {
        "best": Scalar(_highest(arm), 3, tolerance=0.1),
        "quality": quality(arm),
        "cosine_with_start": estimate(arm.partners["cosine_with_start"][arm.slice], 3),
    }


def _pairs(table: np.ndarray) -> dict:
    """Effects of single pairs and single seeds (C21)."""
    effects = pair_effects(table, np.random.default_rng(0))
    wide = max(effects.highest - effects.lowest, 1e-3)
    return {
        "highest": Scalar(effects.highest, 4, tolerance=wide),
        "lowest": Scalar(effects.lowest, 4, tolerance=wide),
        "seed_sd": Scalar(effects.seed_sd, 4, tolerance=wide),
        "pair_sd": Scalar(effects.pair_sd, 4, tolerance=wide),
        "smallest_pair": Scalar(effects.smallest_pair, 4, tolerance=10 * wide),
        # Without an effect a p-value is uniform, so another machine may have any other.
        "p_seed": Scalar(effects.p_seed, 3, tolerance=1.0),
        "p_pair": Scalar(effects.p_pair, 3, tolerance=1.0),
    }


def _highest(arm: MeasuredArm) -> float:
    pairs = arm.partners["pairs"].max(axis=1) < arm.seeds
    return float(np.nanmax(arm.partners["full"]["trained"]["cosine"][pairs]))
