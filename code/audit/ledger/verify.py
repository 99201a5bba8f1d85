"""Judge the claims: on the locked values, and on this machine's where its store has them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from audit.ledger.claims import Claim, Twin
from audit.ledger.quantities import Costs, Values, joined_names, printed
from audit.ledger.rules import judge
from audit.ledger.verdicts import Judgement, Verdict, over_subjects, transferred, weakest
from seedstability.errors import UserError

NOTHING_SPENT: Costs = {}


@dataclass(frozen=True)
class Ruling:
    """A claim judged on one set of values."""

    judgements: tuple[Judgement, ...]
    """One a check, in the entry's order."""
    beside: tuple[str, ...]
    """What is shown with the claim and judges nothing, as text."""

    @property
    def verdict(self) -> Verdict:
        """The weakest of the checks' verdicts; over subjects, where each has one of its own."""
        if self.by_subject:
            return over_subjects(self.by_subject)
        return weakest(judgement.verdict for judgement in self.judgements)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those of the checks."""
        return tuple(judgement.verdict for judgement in self.judgements)

    @property
    def intervals(self) -> str:
        """What the intervals are that it rests on, each said once."""
        return joined_names(each.interval for each in self.judgements)

    @property
    def by_subject(self) -> dict[str, Verdict]:
        """The verdict on each subject that stands in for the report's own; empty without any."""
        named = dict.fromkeys(each.subject for each in self.judgements if each.subject)
        return {
            subject: weakest(each.verdict for each in self.judgements if each.subject == subject)
            for subject in named
        }


@dataclass(frozen=True)
class Moved:
    """A check with another verdict on this machine's values than on the locked ones."""

    what: str
    """Which check, in a few words."""
    here: Verdict
    """On this machine's values."""
    locked: Verdict
    """On the locked values."""
    within_tolerance: bool
    """Whether both are the same values within their tolerance: then the locked value lies near the
    rule's bound, and nothing failed to come out again."""


@dataclass(frozen=True)
class Verified:
    """A claim with its rulings."""

    claim: Claim
    """The entry."""
    locked: Ruling
    """On the locked values."""
    here: Ruling | None
    """On this machine's own; None where its store does not hold all that the claim needs."""
    moved: tuple[Moved, ...] = ()
    """Checks whose verdict here is not the locked one."""

    @property
    def shown(self) -> Ruling:
        """This machine's ruling, or the locked one where there is none."""
        return self.here or self.locked

    @property
    def differs(self) -> bool:
        """Whether values that have left their tolerance give a check another verdict here."""
        return any(not check.within_tolerance for check in self.moved)


def verify(
    locked: Values,
    here: Values | None,
    claims: Iterable[Claim],
    costs: Costs = NOTHING_SPENT,
    agree: Callable[[Iterable[str]], bool] = lambda addresses: False,
) -> list[Verified]:
    """Judge claims and write nothing.

    Args:
        locked: the profile's locked values.
        here: what this machine's store holds of the same addresses, or None.
        claims: entries of the ledger.
        costs: what the stages of the locked run took, by name.
        agree: whether both hold the same at all of these addresses, within tolerance.

    Raises:
        UserError: with near names, when a locked value is missing.
    """
    found = []
    for claim in claims:
        as_locked = _ruling(claim, locked, costs)
        if here is None or not _judgeable(claim, here):
            found.append(Verified(claim, as_locked, None))
            continue
        ours = _ruling(claim, here, costs)
        found.append(Verified(claim, as_locked, ours, tuple(_moved(claim, ours, as_locked, agree))))
    return found


def _moved(
    claim: Claim, here: Ruling, locked: Ruling, agree: Callable[[Iterable[str]], bool]
) -> Iterator[Moved]:
    before = {(each.what, each.subject): each.verdict for each in locked.judgements}
    for ours in here.judgements:
        name = (ours.what, ours.subject)
        if ours.verdict is not before.get(name, ours.verdict):
            agreed = agree(claim.check_of(*name).addresses)
            yield Moved(ours.what, ours.verdict, before[name], agreed)


def tally(verified: Iterable[Verified], locked: bool = False) -> dict[Verdict, int]:
    """How many claims have each verdict, all verdicts in their order; notes are not counted.

    Args:
        verified: claims with their rulings.
        locked: whether the locked rulings are counted, and not those that are shown.
    """
    counted = Counter(
        (each.locked if locked else each.shown).verdict
        for each in verified
        if not each.claim.is_note
    )
    return {verdict: counted[verdict] for verdict in Verdict if verdict is not Verdict.NO_VERDICT}


def parts_needed(claim: Claim) -> set[tuple[str, str]]:
    """The experiments' parts that a claim's results come from, as (experiment, part).

    Empty for a claim about costs or about the report's own arithmetic: nothing has to be rerun.
    """
    parts = set()
    for address in (*claim.addresses, *claim.twin_addresses):
        experiment, part, _ = address.split(".", 2)
        parts.add((experiment, part))
    return parts


def _ruling(claim: Claim, values: Values, costs: Costs) -> Ruling:
    if claim.elsewhere is not None and not _holds_all(claim, values):
        return _not_testable(claim)
    try:
        twins = _with_values(claim.twins, values)
        judgements = tuple(
            _scoped(claim, judgement)
            for judgement in (
                *(judge(check, values, costs) for check in claim.check),
                *(_of_twin(twin, values, costs) for twin in twins),
            )
        )
        beside = tuple(
            f"{shown.what}: {printed(values.scalar(shown.address))}" for shown in claim.beside
        )
    except UserError as problem:
        raise UserError(f"claim {claim.id}: {problem}") from None
    return Ruling(judgements, beside)


def _with_values(twins: Iterable[Twin], values: Values) -> Iterator[Twin]:
    """Those of which the profile has what they judge."""
    return (twin for twin in twins if all(address in values for address in twin.addresses))


def _of_twin(twin: Twin, values: Values, costs: Costs) -> Judgement:
    """A twin's judgement, which says nothing where what it needs does not hold."""
    found, need = judge(twin.check, values, costs), twin.need
    if need is None or values.scalar(need.address).value > need.above:
        return found
    return replace(found, verdict=Verdict.NOT_TESTABLE, because=need.because)


def _scoped(claim: Claim, judgement: Judgement) -> Judgement:
    if claim.scope != "model":
        return judgement
    return replace(judgement, verdict=transferred(judgement.verdict))


def _not_testable(claim: Claim) -> Ruling:
    assert claim.elsewhere is not None
    because = (
        f"needs {claim.elsewhere.needs}: profile {claim.elsewhere.profile},"
        f" about {claim.elsewhere.cost}"
    )
    return Ruling(
        tuple(
            Judgement(check.what, check.stated, "", "", Verdict.NOT_TESTABLE, because)
            for check in claim.check
        ),
        (),
    )


def _judgeable(claim: Claim, here: Values) -> bool:
    """A claim without addresses has nothing of this machine's to be judged on."""
    return bool(claim.addresses) and _holds_all(claim, here)


def _holds_all(claim: Claim, values: Values) -> bool:
    # Asked of every claim: an error would look for near names each time.
    return all(address in values for address in claim.addresses)
