"""Values of section "Layers, sizes and tokens", one function per part."""

from collections.abc import Mapping

import numpy as np

from audit.experiments.common.arms import NoSettings
from audit.experiments.common.summary import estimate, similarity
from audit.experiments.tokens.contrasts import (
    HEADLINE,
    contrast,
    deflation,
    with_interval_tolerance,
)
from audit.experiments.tokens.experiment import THRESHOLDS, TokensSettings
from audit.experiments.tokens.pair_tables import SCOPES, STATISTICS, MeasuredArm, TokensArm
from audit.experiments.tokens.sweeps import quality, sweep_point, sweep_values
from audit.pipeline.results import Scalar
from seedstability.stability.statistics.pair_effects import pair_effects

Arms = Mapping[str, TokensArm]


def centre(config: NoSettings, arm: TokensArm) -> dict:
    """The base configuration over all its seeds, with effects of pairs and seeds (C21, C23)."""
    measured = MeasuredArm(arm)
    tree = arm_values(measured) | {
        "seeds": len(measured.seeds),
        "deflation": deflation(measured),
    }
    for scope in SCOPES:
        tree[f"pairs_{scope}"] = _pairs(measured.table(HEADLINE, scope=scope))
    return with_interval_tolerance(tree)


def layers(config: TokensSettings, arms: Arms) -> dict:
    """First and last layer, and the preset's learning rate, minus the base configuration (C24)."""
    measured = {name: MeasuredArm(arm, config.base.few_seeds) for name, arm in arms.items()}
    tree: dict = {name: arm_values(arm) for name, arm in measured.items()}
    tree["points"] = {name: sweep_point(arm) for name, arm in measured.items()}
    for name in ("first", "last", "slow"):
        tree[f"{name}_less_centre"] = contrast(measured[name], measured["centre"])
    return with_interval_tolerance(tree)


def report(config: NoSettings, arms: Arms) -> dict:
    """The report's own setting, imitated on our model and, in `full`, on its own (C20 to C23)."""
    tree: dict = {}
    for name, found in arms.items():
        arm = MeasuredArm(found)
        tree[name] = arm_values(arm) | {
            "deflation": deflation(arm),
            "pairs": _pairs(arm.table(HEADLINE, scope="full")),
        }
    own = tree.pop("report")
    return with_interval_tolerance(own | tree)


def sizes(config: TokensSettings, base: TokensArm, sweeps: Mapping[str, Arms]) -> dict:
    """Sizes at equal tokens and at equal updates per latent (C25)."""
    return _sweeps(config, base, sweeps, config.compared)


def amounts(config: TokensSettings, base: TokensArm, sweeps: Mapping[str, Arms]) -> dict:
    """Distinct tokens at equal epochs and at equal tokens seen (C26)."""
    return _sweeps(config, base, sweeps, config.scaled)


def passes(config: TokensSettings, base: TokensArm, sweep: Arms) -> dict:
    """Passes over the same tokens: only the steps grow."""
    ends = min(map(int, sweep)), max(map(int, sweep))
    found = sweep_values(sweep, base, ends, config.base.few_seeds)
    return with_interval_tolerance(found)


def _sweeps(
    config: TokensSettings,
    base: TokensArm,
    sweeps: Mapping[str, Arms],
    compared: tuple[int, int],
) -> dict:
    seeds = config.base.few_seeds
    return with_interval_tolerance(
        {name: sweep_values(sweep, base, compared, seeds) for name, sweep in sweeps.items()}
    )


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
        "cosine_with_start": estimate(arm.partners["cosine_with_start"][arm.at], 3),
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
    pairs = np.isin(arm.partners["pairs"], arm.at).all(axis=1)
    return float(np.nanmax(arm.partners["full"]["trained"]["cosine"][pairs]))
