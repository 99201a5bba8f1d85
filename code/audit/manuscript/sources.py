"""Make an edition of the paper from values and the runs behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields

from audit.ledger.claims import Claim
from audit.ledger.loading import load_claims
from audit.ledger.verdicts import Judgement, Verdict
from audit.ledger.verify import Ruling, Verified, verify
from audit.manuscript.edition import Edition, StageCost
from audit.pipeline.locking.locked import Cost, LockedRun
from audit.pipeline.locking.values import Values
from seedstability.numerics.abi import NumericABI


def edition_of(
    values: Values,
    runs: Mapping[str, LockedRun],
    profile: str = "paper",
    draft: bool = False,
    claims: Iterable[Claim] | None = None,
    long_runs: Mapping[str, LockedRun] | None = None,
) -> Edition:
    """Edition of any values.

    Args:
        values: locked values, or a draft's.
        runs: the run behind each experiment, by name.
        profile: any other than `paper` is marked on every page.
        draft: whether the values are not locked; marked on every page.
        claims: entries of the ledger; those of `data/claims` by default.
        long_runs: of experiments whose values are of profile `long`, printed under its mark.

    Raises:
        UserError: the ledger is damaged, or a claim needs a value that its experiment lacks.
    """
    costs = {name: cost for run in runs.values() for name, cost in run.stages.items()}
    long = long_runs or {}
    packages = {name: version for run in runs.values() for name, version in run.packages.items()}
    return Edition(
        values=values,
        date=max((run.date for run in runs.values()), default=""),
        commit=_joined({name: run.commit for name, run in runs.items()}),
        numeric_abi=_joined({name: _abi(run.abi) for name, run in runs.items()}),
        confirmed=_joined({name: _confirmed(run) for name, run in runs.items()}),
        between_machines=len(values.spreads),
        environment=dict(sorted(packages.items())),
        stages=_stages(runs),
        long_stages=_stages(long),
        long_date=max((run.date for run in long.values()), default="not locked"),
        long_commit=_joined({name: run.commit for name, run in long.items()}) if long else "",
        long_abi=_joined({name: _abi(run.abi) for name, run in long.items()}) if long else "",
        claims=_verify_claims(
            values, {*runs, *long}, load_claims() if claims is None else claims, costs
        ),
        profile=profile,
        draft=draft,
    )


def _stages(runs: Mapping[str, LockedRun]) -> list[StageCost]:
    costs = {name: cost for run in runs.values() for name, cost in run.stages.items()}
    return [StageCost(name, each.seconds, each.megabytes) for name, each in sorted(costs.items())]


def _verify_claims(
    values: Values, experiments: set[str], claims: Iterable[Claim], costs: Mapping[str, Cost]
) -> list[Verified]:
    """Verify all claims; a claim whose experiment has no values is not testable."""
    verified = []
    for claim in claims:
        needed = {address.partition(".")[0] for address in claim.addresses}
        if needed <= experiments:
            verified += verify(values, None, [claim], costs)
        else:
            verified.append(_without_values(claim, needed - experiments))
    return verified


def _without_values(claim: Claim, missing: set[str]) -> Verified:
    because = f"no values of {', '.join(sorted(missing))} are there"
    judgements = tuple(
        Judgement(check.what, check.stated, "", "", Verdict.NOT_TESTABLE, because)
        for check in claim.check
    )
    return Verified(claim, Ruling(judgements, ()), None)


def _confirmed(run: LockedRun) -> str:
    if run.confirmed is None:
        return "the run itself"
    return f"{run.confirmed.commit} on {run.confirmed.abi.cpu}, {run.confirmed.date[:10]}"


def _abi(abi: NumericABI) -> str:
    names = [each.name for each in fields(abi)]
    return "; ".join(f"{n} {value}" for n, value in zip(names, astuple(abi), strict=True))


def _joined(by_experiment: Mapping[str, str]) -> str:
    """The common text of all experiments, or each text with its experiments."""
    whose: dict[str, list[str]] = {}
    for name, text in sorted(by_experiment.items()):
        whose.setdefault(text, []).append(name)
    if len(whose) == 1:
        return next(iter(whose))
    return "; ".join(f"{text} ({', '.join(names)})" for text, names in whose.items())
