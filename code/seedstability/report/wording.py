"""What a report says in plain words: its findings, and what it could not or did not compute."""

from collections.abc import Mapping, Sequence
from typing import Any

from seedstability.report.estimates import CORRECTED
from seedstability.similarity.config import ComparisonConfig
from seedstability.stability.statistics.jackknife import MIN_SEEDS
from seedstability.stability.statistics.significance import equivalent

MEANING = {
    "isotropic": "unrelated directions, all equally likely",
    "data": "random directions with the covariance of the activations",
    "gauge": "the same dictionaries with everything kept but which latent is which: signs of the"
    " activations' principal components drawn anew",
}
_MARGIN = 0.02


def summary(document: Mapping[str, Any], kappa90: tuple[float, float] | None) -> list[str]:
    """The findings, most important first.

    Args:
        document: the report without these.
        kappa90: 90% interval of κ of the best partners' cosine against the strongest level.
    """
    found = document["reproducibility"]
    threshold = found["threshold"]
    shares = found["thresholds"][f"{threshold:g}"]
    level = strongest(shares["chance"])
    back, chance = shares["mean"], shares["chance"][level]
    lines = [
        f"{percent(back['value'])} of latents come back; {percent(chance)} would by chance.",
        "A latent comes back in another dictionary if some latent there has a decoder cosine of at"
        f" least {threshold:g} with it; the share is a mean over all pairs of the"
        f" {len(document['dictionaries'])} dictionaries{_ends(back)}. Chance is the strongest level"
        f" that the inputs allow, {level}: {MEANING[level]}.",
        *_before(shares["chance"]["untrained"]),
        *_of_measure(document, "max_cosine", "The cosine with the best partner"),
        *_of_measure(document, "matched_mean", "Matched one to one, the cosine with the partner"),
        *_shared(document, threshold),
        *_of_live(found, document, threshold),
    ]
    if kappa90 and equivalent(*kappa90, margin=_MARGIN):
        lines.append(
            "That is no more than chance: of the best partners' cosine, the 90% interval of κ lies"
            f" within ±{_MARGIN:g}."
        )
    return lines


def notes(
    document: Mapping[str, Any],
    full: ComparisonConfig,
    config: ComparisonConfig,
    matched: int,
) -> list[str]:
    """What is missing and why, and what was left out for its cost.

    Args:
        document: the report without these.
        full: the settings for 1,024 latents.
        config: those that were used.
        matched: pairs that were matched one to one.
    """
    inputs, n_seeds = document["inputs"], len(document["dictionaries"])
    n = inputs["dictionaries"][0]["n_latents"]
    return [
        *_unavailable(inputs),
        *_thinned(full, config, n, matched, inputs["activations"] is not None),
        *_on_seeds(n_seeds, matched),
        *_on_inputs(document),
    ]


def strongest(levels: Mapping[str, float | None]) -> str:
    """The strongest chance level that is there; isotropic always is.

    The untrained one is said on its own: under a shared start it is 1, and no matter of chance.
    """
    return [level for level in CORRECTED if levels.get(level) is not None][-1]


def percent(share: float) -> str:
    """A share as people say it."""
    value = 100.0 * share
    if 0 < value < 0.1:
        return "less than 0.1%"
    if 99.9 < value < 100:
        return "more than 99.9%"
    return f"{value:.0f}%" if value >= 1 or value == 0 else f"{value:.1f}%"


def _ends(estimate: Mapping[str, Any]) -> str:
    if estimate["interval"] == "one pair":
        return ""
    ends = f"{percent(max(estimate['low'], 0.0))} to {percent(min(estimate['high'], 1.0))}"
    return f" ({ends}, {estimate['interval']})"


def _before(share: float | None) -> list[str]:
    if share is None:
        return []
    return [f"Before the first step of training, {percent(share)} came back already."]


def _of_measure(document: Mapping[str, Any], name: str, subject: str) -> list[str]:
    measure = document["measures"]["full"][name]
    level = strongest(measure["chance"])
    line = f"{subject} is {measure['value']:.3f} on average; {measure['chance'][level]:.3f} by"
    line += f" chance ({level})"
    kappa = measure["kappa"].get(level)
    if kappa:
        line += f", κ {kappa['value']:.3f}"
    p = measure["p_gauge"]
    return [f"{line}, p {p:.2g} under gauge." if p is not None else f"{line}."]


def _shared(document: Mapping[str, Any], threshold: float) -> list[str]:
    measure = document["measures"]["full"]["shared"]
    chance = measure["chance"]["gauge"]
    level = "gauge"
    if chance is None:
        chance, level = measure["chance"]["isotropic"], "isotropic"
    return [
        f"{percent(measure['value'] / 100)} of latents are shared: decoders and encoders, matched"
        f" each on their own, give the same partner, both at a cosine above {threshold:g};"
        f" {percent(chance / 100)} would be by chance ({level})."
    ]


def _of_live(found: Mapping[str, Any], document: Mapping[str, Any], threshold: float) -> list[str]:
    if found["live"] is None:
        return []
    n = document["inputs"]["dictionaries"][0]["n_latents"]
    live = sum(each["live"] for each in document["dictionaries"])
    dead = n * len(document["dictionaries"]) - live
    back = found["live"][f"{threshold:g}"]["mean"]
    return [
        f"{dead:,} of {live + dead:,} latents never fire on the activations; of those that do,"
        f" {percent(back['value'])} come back among the live."
    ]


def _unavailable(inputs: Mapping[str, Any]) -> list[str]:
    lines = []
    if inputs["activations"] is None:
        lines.append(
            "not available: the chance levels data and gauge, live latents, firing frequencies,"
            " explained variance, and figures within the span of the data; they need activations"
            " (--activations)"
        )
    else:
        lines.append(
            "not drawn, as in the paper: for live latents alone, data, untrained and the isotropic"
            " level of one-to-one figures; within the span, all but the isotropic level; and"
            " p-values of all but best partners"
        )
    if inputs["initial"] is None:
        lines.append(
            "not available: the chance level untrained and the cosine with the start; they need the"
            " dictionaries before their first step (--initial)"
        )
    else:
        lines.append(
            "not available: the untrained level of encoders and of what both assignments share;"
            " before the first step decoders alone are compared, as in the paper"
        )
    return lines


def _thinned(
    full: ComparisonConfig, config: ComparisonConfig, n: int, matched: int, gauge: bool
) -> list[str]:
    lines = []
    if config.chance_draws < full.chance_draws:
        lines.append(
            f"drawn chance levels are means of {config.chance_draws} instead of"
            f" {full.chance_draws} pairs: their spread falls as 1/√n, and n is {n:,}"
        )
    if gauge and config.gauge_pairs is not None and config.gauge_pairs < matched:
        lines.append(
            f"the gauge level is that of {config.gauge_pairs} of {matched} pairs: with {n:,}"
            " latents pairs differ little, and each takes long"
        )
    if gauge and config.permutations < full.permutations:
        lines.append(
            f"not computed: p-values under gauge; {full.permutations} scrambles of {n:,} latents"
            " would take more than a minute"
        )
    return lines


def _on_seeds(n_seeds: int, matched: int) -> list[str]:
    lines = []
    pairs = n_seeds * (n_seeds - 1) // 2
    if n_seeds < MIN_SEEDS:
        lines.append(
            f"{n_seeds} dictionaries are too few for an interval over seeds: low and high are the"
            f" range of the pairs; from {MIN_SEEDS} on it is a 95% interval"
        )
    if matched < pairs:
        lines.append(
            f"one-to-one matching was done for {matched} of {pairs} pairs (--all-pairs does all);"
            " best partners were looked for in all"
        )
    return lines


def _on_inputs(document: Mapping[str, Any]) -> list[str]:
    dictionaries = document["inputs"]["dictionaries"]
    lines = []
    kinds = list(dict.fromkeys(each["architecture"] for each in dictionaries))
    if len(kinds) > 1:
        lines.append(
            f"the dictionaries are of several architectures ({', '.join(kinds)}): what differs is"
            " not only the seed"
        )
    dead = _names_of_dead(document)
    if dead:
        lines.append(
            f"no latent of {' and '.join(dead)} fires on the activations: live-only figures leave"
            " it out"
        )
    if document["software"]["numeric_abi"] is None:
        lines.append(
            "numeric ABI not recorded: called from Python, where nothing is pinned; `invoke"
            " compare` pins it"
        )
    return lines


def _names_of_dead(document: Mapping[str, Any]) -> Sequence[str]:
    names = [each["name"] for each in document["inputs"]["dictionaries"]]
    worth = document["dictionaries"]
    return [name for name, each in zip(names, worth, strict=True) if each["live"] == 0]
