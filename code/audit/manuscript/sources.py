"""Makes an edition of the paper from values and the runs that they come from."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields
from pathlib import Path

from audit.ledger.claims import Claim
from audit.ledger.loading import load_claims
from audit.ledger.verdicts import Judgement, Verdict
from audit.ledger.verify import Ruling, Verified, verify
from audit.manuscript.edition import Edition, StageCost
from audit.pipeline.locking.locked import Cost, LockedRun, Values, read_runs, read_values
from seedstability.numerics.abi import NumericABI


def locked_edition(folder: Path, profile: str = "paper") -> Edition:
    """The paper as locked.

    Args:
        folder: `data/locked/<profile>`.
        profile: any other than `paper` is marked on every page.

    Raises:
        UserError: a locked file or the ledger is missing or damaged.
    """
    return edition_of(read_values(folder), read_runs(folder), profile)


def edition_of(
    values: Values,
    runs: Mapping[str, LockedRun],
    profile: str = "paper",
    draft: bool = False,
    claims: Iterable[Claim] | None = None,
) -> Edition:
    """The paper on these values.

    Args:
        values: locked ones, or a draft's.
        runs: the run behind each experiment, by its name.
        profile: any other than `paper` is marked on every page.
        draft: whether nobody has locked these values; marked on every page.
        claims: the ledger's entries, `data/claims` unless given.

    Raises:
        UserError: the ledger is damaged, or asks for a value that its experiment has not.
    """
    costs = {name: cost for run in runs.values() for name, cost in run.stages.items()}
    packages = {name: version for run in runs.values() for name, version in run.packages.items()}
    return Edition(
        values=values,
        date=max((run.date for run in runs.values()), default=""),
        commit=_said({name: run.commit for name, run in runs.items()}),
        numeric_abi=_said({name: _abi(run.abi) for name, run in runs.items()}),
        environment=dict(sorted(packages.items())),
        stages=[StageCost(n, c.seconds, c.megabytes) for n, c in sorted(costs.items())],
        claims=_judged(values, set(runs), load_claims() if claims is None else claims, costs),
        profile=profile,
        draft=draft,
    )


def _judged(
    values: Values, experiments: set[str], claims: Iterable[Claim], costs: Mapping[str, Cost]
) -> list[Verified]:
    """The ledger; a claim whose experiment has no values is listed without a judgement."""
    judged = []
    for claim in claims:
        needed = {address.partition(".")[0] for address in claim.addresses}
        if needed <= experiments:
            judged += verify(values, None, [claim], costs)
        else:
            judged.append(_without_values(claim, needed - experiments))
    return judged


def _without_values(claim: Claim, missing: set[str]) -> Verified:
    because = f"no values of {', '.join(sorted(missing))} are there"
    judgements = tuple(
        Judgement(check.what, check.stated, "", "", Verdict.NOT_TESTABLE, because)
        for check in claim.check
    )
    return Verified(claim, Ruling(judgements, ()), None)


def _abi(abi: NumericABI) -> str:
    names = [each.name for each in fields(abi)]
    return "; ".join(f"{n} {value}" for n, value in zip(names, astuple(abi), strict=True))


def _said(by_experiment: Mapping[str, str]) -> str:
    """One thing for all experiments, or each with those that it is said of."""
    whose: dict[str, list[str]] = {}
    for name, said in sorted(by_experiment.items()):
        whose.setdefault(said, []).append(name)
    if len(whose) == 1:
        return next(iter(whose))
    return "; ".join(f"{said} ({', '.join(names)})" for said, names in whose.items())
