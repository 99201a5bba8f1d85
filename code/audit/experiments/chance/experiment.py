"""Section "Chance": each similarity between unrelated dictionaries.

Part `closed_form` compares the closed form with drawn dictionaries over sizes. Part `falling_rank`
draws chance levels for data of low rank. Part `headline` puts the reports' headline figures beside
the chance level of the same statistic at the same sizes.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from audit.experiments.common.declaration import Experiment, Figure
from audit.folders import DATA
from audit.pipeline.graph.stage import Stage
from audit.pipeline.results import Array, Scalar
from seedstability.errors import UserError

_REPORTED = DATA / "reported" / "headlines.toml"


@dataclass(frozen=True)
class Headline:
    """A figure that a report prints, with the setting that determines its chance level."""

    id: str
    """Name in addresses."""
    report: str
    """The report, as the paper calls it."""
    what: str
    """The quantity, in a few words."""
    statistic: str
    """A similarity, or `naive_fourier_overlap`."""
    reported: float
    """The figure as printed."""
    n: tuple[int, int]
    """Latents of the two dictionaries."""
    d: int
    """Width of the activations."""
    source: str
    """Place of the figure in the report."""
    digits: int = 3
    """Decimals of the printed figure."""
    bound: bool = False
    """Whether the chance level is an upper bound, because drawing it is too expensive."""


@dataclass(frozen=True)
class ChanceSettings:
    """Settings of the section on chance."""

    sizes: tuple[int, ...] = (16, 64, 256, 1024, 2048)
    """Numbers of latents at which the closed form is checked."""
    widths: tuple[int, ...] = (32, 128, 768)
    """Widths at which the closed form is checked."""
    draws: int = 10
    """Pairs of dictionaries drawn at each point."""
    ranks: tuple[int, ...] = (4, 8, 16, 20, 24, 32, 48, 64, 96, 128)
    """Ranks of the data in a space of width `rank_width`."""
    rank_width: int = 128
    """Width of the space in which the rank falls."""
    rank_latents: int = 1024
    """Latents of the dictionaries drawn there."""
    rank_dictionaries: int = 5
    """Dictionaries drawn at each rank, enough for a chance level of reproducibility."""
    headline_draws: int = 40
    """Pairs of dictionaries drawn for each headline figure."""
    seed: int = 20261121
    """Seed of every draw in this section."""


@dataclass(frozen=True)
class HeadlineSettings:
    """Reported figures, and the number of draws for their chance levels."""

    figures: tuple[Headline, ...]
    """The reported figures."""
    draws: int
    """Pairs of dictionaries drawn for each figure."""
    seed: int
    """Seed of the draws."""


paper = ChanceSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(
        paper,
        sizes=(16, 64),
        widths=(32, 128, 768),
        draws=5,
        ranks=(8, 32, 128),
        rank_latents=128,
        headline_draws=5,
    ),
    "full": replace(paper, draws=100, headline_draws=400),
}


def parts(settings: ChanceSettings) -> dict[str, Stage]:
    """Stages of the three parts; none needs another stage."""
    here = "audit.experiments.chance.experiment"
    headlines = HeadlineSettings(reported_figures(), settings.headline_draws, settings.seed)
    return {
        "closed_form": Stage("chance/closed_form", f"{here}:closed_form", settings),
        "falling_rank": Stage("chance/falling_rank", f"{here}:falling_rank", settings),
        "headline": Stage("chance/headline", f"{here}:headline", headlines),
    }


def reported_figures(file: Path = _REPORTED) -> tuple[Headline, ...]:
    """Read the reports' headline figures from `data/reported`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))["figure"]
        return tuple(Headline(**{**entry, "n": tuple(entry["n"])}) for entry in entries)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as problem:
        raise UserError(
            f"data/reported/{file.name} cannot be read ({problem}); restore it from the repository"
        ) from problem


def closed_form(settings: ChanceSettings) -> dict:
    """Compare closed form and drawn mean of the max-cosine similarities at each size and width."""
    from scipy import stats

    from seedstability.stability.chance.closed_form import Similarity, chance_level
    from seedstability.stability.chance.null_models import isotropic
    from seedstability.stability.cosine import max_abs_cosine, max_cosine

    generator = _generator(settings.seed)
    tree: dict = {"sizes": Array(np.array(settings.sizes), digits=0)}
    errors = []
    statistics: dict[Similarity, Callable] = {
        "max_cosine": max_cosine,
        "max_abs_cosine": max_abs_cosine,
    }
    for kind, statistic in statistics.items():
        tree[kind] = {}
        for d in settings.widths:
            expected = np.array([chance_level(n, d, kind) for n in settings.sizes])
            drawn = np.array(
                [
                    [
                        statistic(isotropic(n, d, generator), isotropic(n, d, generator))
                        for _ in range(settings.draws)
                    ]
                    for n in settings.sizes
                ]
            )
            standard_error = drawn.std(axis=1, ddof=1) / settings.draws**0.5
            tree[kind][f"width{d}"] = {
                "closed": Array(expected),
                "drawn": Array(drawn.mean(axis=1), tolerance=5e-4),
                "drawn_sd": Array(drawn.std(axis=1, ddof=1), tolerance=5e-4),
            }
            errors.append((drawn.mean(axis=1) - expected) / standard_error)
    distances = np.concatenate(errors)
    tree["largest_gap_in_standard_errors"] = Scalar(
        float(np.abs(distances).max()), digits=1, tolerance=0.2
    )
    # The standard error is estimated from few draws, so the ratio has a t distribution.
    one = 2 * stats.t.sf(np.abs(distances).max(), settings.draws - 1)
    tree["p_of_largest_gap"] = Scalar(float(1 - (1 - one) ** distances.size), 2, tolerance=0.1)
    tree["points"] = distances.size
    tree["draws"] = settings.draws
    return tree


def falling_rank(settings: ChanceSettings) -> dict:
    """Draw chance levels for data that span only the first dimensions of the space.

    The variance of the data falls as 1/k along the k-th direction and is zero beyond the rank.
    """
    import torch

    from seedstability.stability.chance.closed_form import chance_level
    from seedstability.stability.chance.null_models import (
        GaugeBasis,
        data_directions,
        gauge_scramble,
    )
    from seedstability.stability.cosine import max_cosine
    from seedstability.stability.recurrence import reproducibility

    generator = _generator(settings.seed)
    n, d = settings.rank_latents, settings.rank_width
    levels: dict[str, list[float]] = {"data": [], "gauge": [], "flat": [], "reproducibility": []}
    for rank in settings.ranks:
        spectrum = torch.zeros(d)
        spectrum[:rank] = 1.0 / torch.arange(1, rank + 1)
        falling, flat = torch.diag(spectrum), torch.diag((spectrum > 0).float())
        ours = [data_directions(n, falling, generator) for _ in range(settings.rank_dictionaries)]
        basis = GaugeBasis.from_covariance(falling)
        pairs = list(pairwise(ours))
        levels["data"].append(_mean(max_cosine(a, b) for a, b in pairs))
        levels["gauge"].append(
            _mean(max_cosine(a, gauge_scramble(b, basis, generator)) for a, b in pairs)
        )
        unrelated = [data_directions(n, flat, generator) for _ in range(settings.rank_dictionaries)]
        levels["flat"].append(_mean(max_cosine(a, b) for a, b in pairwise(unrelated)))
        levels["reproducibility"].append(float(reproducibility(torch.stack(unrelated)).mean()))

    isotropic = chance_level(n, d, "max_cosine")
    return {
        "rank": Array(np.array(settings.ranks), digits=0),
        "isotropic_curve": Array(np.full(len(settings.ranks), isotropic)),
        **{name: Array(np.array(level), tolerance=2e-3) for name, level in levels.items()},
        "isotropic": Scalar(isotropic, digits=4),
        "data_full_rank": Scalar(levels["data"][-1], digits=3, chance=isotropic),
        "gauge_full_rank": Scalar(levels["gauge"][-1], digits=3, chance=isotropic),
        "latents": n,
        "width": d,
    }


def headline(settings: HeadlineSettings) -> dict:
    """Put each reported figure beside the chance level of its statistic at its sizes."""
    from seedstability.stability.chance.closed_form import corrected_for_chance

    generator = _generator(settings.seed)
    tree: dict = {}
    for figure in settings.figures:
        chance, sd = _chance_of(figure, settings.draws, generator)
        kappa = corrected_for_chance(figure.reported, chance)
        tree[figure.id] = {
            "report": figure.report,
            "what": figure.what,
            "statistic": figure.statistic.replace("_", " "),
            "reported": Scalar(figure.reported, figure.digits),
            "chance": Scalar(chance, digits=4, tolerance=1e-3),
            "chance_is": "upper bound" if figure.bound else "drawn" if sd else "closed form",
            "kappa": Scalar(kappa, digits=3, tolerance=2e-3),
            "latents_a": figure.n[0],
            "latents_b": figure.n[1],
            "width": figure.d,
        }
    tree["reported"] = Array(np.array([figure.reported for figure in settings.figures]))
    tree["chance"] = Array(
        np.array([tree[figure.id]["chance"].value for figure in settings.figures]), tolerance=1e-3
    )
    tree["figures"] = len(settings.figures)
    return tree


def _chance_of(figure: Headline, draws: int, generator) -> tuple[float, float]:
    """Chance level of a figure, and its standard deviation over draws (0: closed form or bound)."""
    from seedstability.similarity.names import BEST
    from seedstability.stability.chance.closed_form import chance_level_pair

    for kind in BEST:
        if figure.statistic == kind:
            return chance_level_pair(*figure.n, figure.d, kind), 0.0
    if figure.bound:
        return chance_level_pair(*figure.n, figure.d, "max_cosine"), 0.0
    drawn = [_drawn(figure, generator) for _ in range(draws)]
    return float(np.mean(drawn)), float(np.std(drawn, ddof=1))


def _drawn(figure: Headline, generator) -> float:
    from audit.evaluation.fourier import naive_fourier_overlap
    from seedstability.stability.chance.null_models import isotropic
    from seedstability.stability.matching.match import match

    ours = isotropic(figure.n[0], figure.d, generator)
    if figure.statistic == "naive_fourier_overlap":
        return naive_fourier_overlap(ours, p=figure.n[1])
    matched = match(ours, isotropic(figure.n[1], figure.d, generator)).matched_cosines
    if figure.statistic == "matched_mean":
        return float(matched.mean())
    # torch's median of an even number of values is the lower of the middle two.
    return float(np.median(matched.numpy()))


def _generator(seed: int):
    import torch

    return torch.Generator().manual_seed(seed)


def _mean(values) -> float:
    return float(np.mean(list(values)))


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    figures=(
        Figure("headline", "chance.headline", "chance.headline"),
        Figure("closed_form", "chance.closed_form", "chance.closed_form"),
        Figure("falling_rank", "chance.falling_rank", "chance.falling_rank"),
    ),
    tables=("headline",),
)
