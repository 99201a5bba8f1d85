"""Wording of a report: its findings, and notes on what was not computed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seedstability.report import groups, over_time
from seedstability.report.levels import strongest
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.dictionaries.stated import Difference, in_words
from seedstability.similarity.samples.activations import PLAIN
from seedstability.stability.statistics.equivalence import EQUIVALENCE_MARGIN, equivalent
from seedstability.stability.statistics.jackknife import MIN_SEEDS

MEANING = {
    "isotropic": "unrelated directions, all equally likely",
    "data": "random directions with the covariance of the activations",
    "gauge": "the same dictionaries with all second moments kept and the identity of latents"
    " randomized, by random signs of the activations' principal components",
}


def summary(document: Mapping[str, Any], interval90: tuple[float, float] | None) -> list[str]:
    """Sentences with the findings, most important first.

    Args:
        document: the report without its summary.
        interval90: 90% interval of κ of the best partners' cosine against the strongest level.
    """
    found = document["reproducibility"]
    threshold = found["threshold"]
    shares = found["thresholds"][f"{threshold:g}"]
    level = strongest(shares["chance"])
    recurring, chance = shares["mean"], shares["chance"][level]
    names = [each["name"] for each in document["inputs"]["dictionaries"]]
    of_groups, of_steps = document["groups"], document["over_time"]
    lines = [
        *([groups.sentence(of_groups, names)] if of_groups else []),
        *([over_time.sentence(of_steps)] if of_steps else []),
        f"{percent(recurring['value'])} of latents recur; {percent(chance)} would by chance.",
        "A latent recurs in another dictionary if some latent there has a decoder cosine of at"
        f" least {threshold:g} with it; the share is a mean over all pairs of the"
        f" {len(document['dictionaries'])} dictionaries{_interval(recurring)}. Chance is the"
        f" strongest level that the inputs allow, {level}: {MEANING[level]}.",
        *([] if of_groups or of_steps else _of_configurations(document["inputs"]["differences"])),
        *_at_initialization(shares["chance"]["untrained"]),
        *_of_measure(document, "max_cosine", "The cosine with the best partner"),
        *_of_measure(document, "matched_mean", "Matched one to one, the cosine with the partner"),
        *_shared(document, threshold),
        *_of_live(found, document, threshold),
        *_of_outliers(document),
    ]
    if interval90 and equivalent(*interval90):
        lines.append(
            "The similarity is equivalent to chance: the 90% interval of κ of the best partners'"
            f" cosine lies within ±{EQUIVALENCE_MARGIN:g}."
        )
    return lines


def notes(
    document: Mapping[str, Any],
    full: ComparisonConfig,
    config: ComparisonConfig,
    matched: int,
) -> list[str]:
    """Sentences on what is missing and why, and what was skipped for its cost.

    Args:
        document: the report without its notes.
        full: settings for 1,024 latents.
        config: settings that were used.
        matched: number of pairs that were matched one-to-one.
    """
    inputs, n_seeds = document["inputs"], len(document["dictionaries"])
    n = max(_compared(document))
    return [
        *_unavailable(inputs, document["firing"] is not None),
        *_reduced(full, config, n, matched, inputs["activations"] is not None),
        *_on_seeds(n_seeds, matched),
        *_on_inputs(document),
    ]


def percent(share: float) -> str:
    """Format a share as a percentage."""
    value = 100.0 * share
    if 0 < value < 0.1:
        return "less than 0.1%"
    if 99.9 < value < 100:
        return "more than 99.9%"
    return f"{value:.0f}%" if value >= 1 or value == 0 else f"{value:.1f}%"


def _interval(estimate: Mapping[str, Any]) -> str:
    if estimate["interval"] == "one pair":
        return ""
    ends = f"{percent(max(estimate['low'], 0.0))} to {percent(min(estimate['high'], 1.0))}"
    return f" ({ends}, {estimate['interval']})"


def _of_configurations(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    if not differences:
        return []
    found = in_words([Difference(each["setting"], tuple(each["values"])) for each in differences])
    return [
        f"These are configurations, not seeds: they differ in {found}. What follows says how far"
        " configurations agree, and nothing about seeds."
    ]


def _at_initialization(share: float | None) -> list[str]:
    if share is None:
        return []
    return [f"At initialization, {percent(share)} of latents already recurred."]


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
    measure = document["measures"]["full"].get("shared")
    if not measure:  # decoders alone
        return []
    chance = measure["chance"]["gauge"]
    level = "gauge"
    if chance is None:
        chance, level = measure["chance"]["isotropic"], "isotropic"
    return [
        f"{percent(measure['value'] / 100)} of latents are shared: decoders and encoders, matched"
        f" separately, give the same partner, both at a cosine above {threshold:g};"
        f" {percent(chance / 100)} would be by chance ({level})."
    ]


def _of_live(found: Mapping[str, Any], document: Mapping[str, Any], threshold: float) -> list[str]:
    if found["live"] is None:
        return []
    live = sum(each["live"] for each in document["dictionaries"])
    dead = sum(_compared(document)) - live
    recurring = found["live"][f"{threshold:g}"]["mean"]
    where = "on the activations"
    if document["inputs"]["activations"] is None:
        where = "in the last window of their training, as sparsity.safetensors states"
    return [
        f"{dead:,} of {live + dead:,} latents never fire {where}; of those that do,"
        f" {percent(recurring['value'])} recur among the live latents."
    ]


def _of_outliers(document: Mapping[str, Any]) -> list[str]:
    activations = document["inputs"]["activations"]
    found = activations and activations["outliers"]
    if not found or not found["count"]:
        return []
    count, times = found["count"], found["times_the_median_norm"]
    who = f"with a norm above {times:g} times the median"
    held = f"{percent(found['share_of_variance'])} of the variance"
    if found["dropped"]:
        return [f"{count:,} samples {who}, with {held}, were left out of everything."]
    if not found["without"]:
        return []
    level = document["measures"]["full"]["max_cosine"]["chance"]["data"]
    without = found["without"]["chance"]["data"]["max_cosine"]
    share = percent(count / activations["samples"])
    return [
        f"{count:,} of {activations['samples']:,} samples ({share}) {who} hold {held}: the chance"
        " levels data and gauge, κ against them and explained variance describe these few. Without"
        f" them the level data of the best partner is {without:.3f} instead of {level:.3f}"
        f"{_explained_without(document)}; --drop-outliers (drop_outliers=True) leaves them out of"
        " everything."
    ]


def _explained_without(document: Mapping[str, Any]) -> str:
    without = document["inputs"]["activations"]["outliers"]["without"]["explained_variance"]
    if not without:  # decoders alone
        return ""
    mean = _mean(each["explained_variance"] for each in document["dictionaries"])
    return f", and explained variance {_mean(without):.3f} instead of {mean:.3f}"


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _unavailable(inputs: Mapping[str, Any], known_live: bool) -> list[str]:
    lines = []
    if inputs["decoders_only"]:
        lines.append(
            "decoders alone were compared: encoders, agreement between both, live latents and"
            " explained variance are not available"
        )
    if inputs["activations"] is None:
        of_live = "" if known_live else " live latents, firing rates,"
        lines.append(
            f"not available: the chance levels data and gauge,{of_live} explained variance, and"
            " statistics within the span of the data; they need activations (--activations)"
        )
    else:
        lines.append(
            "not computed, as in the paper: for live latents alone, the levels data and untrained"
            " and the isotropic level of one-to-one statistics; within the span, all but the"
            " isotropic level; and p-values of all but best partners"
        )
    if inputs["initial"] is None:
        lines.append(
            "not available: the chance level untrained and the cosine to initialization; they need"
            " the dictionaries at initialization (--initial)"
        )
    else:
        lines.append(
            "not available: the untrained level of encoders and of agreement between assignments;"
            " at initialization only decoders are compared, as in the paper"
        )
    return lines


def _reduced(
    full: ComparisonConfig, config: ComparisonConfig, n: int, matched: int, gauge: bool
) -> list[str]:
    lines = []
    if config.chance_draws < full.chance_draws:
        lines.append(
            f"sampled chance levels are means of {config.chance_draws} instead of"
            f" {full.chance_draws} pairs: their standard deviation falls as 1/√n, and n is {n:,}"
        )
    if gauge and config.gauge_pairs is not None and config.gauge_pairs < matched:
        lines.append(
            f"the gauge level is that of {config.gauge_pairs} of {matched} pairs: with {n:,}"
            " latents, levels of pairs differ little, and each is expensive"
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
            f"{n_seeds} dictionaries are too few for a jackknife interval: low and high are the"
            f" range of the pairs; a 95% interval needs at least {MIN_SEEDS}"
        )
    if matched < pairs:
        lines.append(
            f"one-to-one matching was done for {matched} of {pairs} pairs (--all-pairs does all);"
            " best partners were computed for all"
        )
    return lines


def _on_inputs(document: Mapping[str, Any]) -> list[str]:
    dictionaries = document["inputs"]["dictionaries"]
    lines = []
    lines += _on_sizes(document)
    states = {each["seed"] for each in dictionaries}
    if len(states) == 1 and None not in states and not document["over_time"]:
        lines.append(
            f"all dictionaries state the same seed, {states.pop()}: were they trained with several?"
            " Checkpoints of one run are compared with --over-time (over_time=True)."
        )
    if activations := document["inputs"]["activations"]:
        lines += _on_activations(activations)
    lines += [
        f"{each['name']} was trained on scaled activations and does not state the factor: it is √d"
        f" over {each['mean_norm']:.4g}, the mean norm of the activations given"
        for each in dictionaries
        if each["mean_norm"] is not None
    ]
    if document["settings"]["permutations"] and _stopped(document):
        lines.append(
            f"scrambles for p-values stopped once {document['settings']['enough_exceedances']} had"
            " reached each value (Besag and Clifford, 1991): p is then known to about a third"
        )
    dead = _names_of_dead(document)
    if dead:
        lines.append(
            f"no latent of {' and '.join(dead)} fires on the activations: live-only statistics"
            " exclude it"
        )
    if document["software"]["numeric_abi"] is None:
        lines.append(
            "numeric ABI not recorded: called from Python, which does not pin it;"
            " `seedstability compare` does"
        )
    return lines


def _stopped(document: Mapping[str, Any]) -> bool:
    enough = document["settings"]["enough_exceedances"]
    found = (each["p_gauge"] for each in document["measures"]["full"].values())
    tested = [p for p in found if p is not None]
    draws = document["settings"]["permutations"]
    return bool(tested and enough) and all(p > (1 + enough) / (1 + draws) for p in tested)


def _compared(document: Mapping[str, Any]) -> list[int]:
    """Number of latents of each dictionary that were compared."""
    both = zip(document["inputs"]["dictionaries"], document["dictionaries"], strict=True)
    return [given["n_latents"] - found["without_direction"] for given, found in both]


def _on_sizes(document: Mapping[str, Any]) -> list[str]:
    lines = []
    both = zip(document["inputs"]["dictionaries"], document["dictionaries"], strict=True)
    missing = [
        f"{found['without_direction']:,} of {given['n_latents']:,} latents of {given['name']}"
        for given, found in both
        if found["without_direction"]
    ]
    if missing:
        lines.append(
            f"{' and '.join(missing)} have no direction (a decoder or encoder row of zeros): they"
            " are left out of every figure"
        )
    sizes = sorted({*_compared(document)})
    if len(sizes) > 1:
        lines.append(
            f"the dictionaries have {sizes[0]:,} to {sizes[-1]:,} latents: one-to-one statistics"
            " and shares count those of the smaller of two, best partners those of both"
        )
    return lines


def _on_activations(activations: Mapping[str, Any]) -> list[str]:
    lines = []
    kinds = [each for each in activations["kinds"] if each != PLAIN]
    if kinds:
        lines.append(
            f"the activations are {' and '.join(kinds)}: they were converted to float32, and all"
            " axes but the last are samples"
        )
    m, d, span = activations["samples"], activations["d"], activations["rank"]["span"]
    if span < d:
        lines.append(
            f"the {m:,} activations span {span:,} of {d:,} dimensions: the levels data and gauge,"
            " and all statistics within the span, are those of this span"
        )
    return lines


def _names_of_dead(document: Mapping[str, Any]) -> Sequence[str]:
    names = [each["name"] for each in document["inputs"]["dictionaries"]]
    measured = document["dictionaries"]
    return [name for name, each in zip(names, measured, strict=True) if each["live"] == 0]
