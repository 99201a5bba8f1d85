"""Rules and results are as old as the ledger says: recomputed from git where there is all of it."""

import pytest

from audit.ledger.loading import load_claims
from helpers import ledger_history

RECORDED = {
    claim.id: {
        name: getattr(claim, name)
        for name in ("rule_commit", "rule_date", "results_commit", "results_date")
    }
    for claim in load_claims()
    if not claim.is_note
}
CHECK = {"kind": "direction", "what": "w", "theirs": "up", "sign": "positive", "ours": "a.b.c"}


@pytest.fixture(scope="module")
def expected():
    if not ledger_history.has_history():
        # The dates are recomputed from commits; an archive or a shallow clone has none.
        pytest.skip("this checkout has no history, or not all of it")
    return ledger_history.recorded()


@pytest.mark.parametrize("id", RECORDED)
def test_the_ledger_says_when_rule_and_results_came(expected, id):
    assert RECORDED[id] == expected[id], (
        "commit the changed rule, run tests/helpers/ledger_history.py, and commit what it writes"
    )


def test_every_claim_records_its_rule():
    assert not [id for id, values in RECORDED.items() if not values["rule_commit"]]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"what": "other"}, True),
        ({"reason": "other"}, True),
        ({"theirs": "down"}, True),
        ({"subject": "small"}, True),
        ({"ours": ["a.b.c"]}, True),
        ({"sign": "negative"}, False),
        ({"ours": "a.b.d"}, False),
        ({"test": True}, False),
        ({"kind": "figure"}, False),
    ],
)
def test_a_rule_is_what_its_checks_judge_by(changed, same):
    before = ledger_history.rule_of({"check": [CHECK]})
    after = ledger_history.rule_of({"check": [{**CHECK, **changed}]})
    assert (before == after) is same


def test_a_check_taken_away_changes_the_rule_and_their_order_does_not():
    other = {**CHECK, "ours": "a.b.d"}
    both = ledger_history.rule_of({"check": [CHECK, other]})
    assert ledger_history.rule_of({"check": [other, CHECK]}) == both
    assert ledger_history.rule_of({"check": [CHECK]}) != both
