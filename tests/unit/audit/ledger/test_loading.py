"""The ledger's entries, and the refusal of damaged ones."""

from pathlib import Path

import pytest

from audit.ledger.checks import Equality, Figure, Inference
from audit.ledger.loading import load_claims, select
from audit.ledger.verify import parts_needed
from helpers.repository import ROOT
from seedstability.errors import UserError

WHOLE = """
report = "000.txt"
citation = "stability000"

[[claim]]
id = "C01"
says = "It is so"
where = "Results"

[[claim.check]]
kind = "figure"
what = "the value"
theirs = "0.2864"
tolerance = 0.005
reason = "small"
ours = "a.b.c"

[[claim]]
id = "C02"
says = "It is the same"
where = "Results"

[[claim.check]]
kind = "equality"
what = "the difference"
theirs = "same"
margin = 0.02
reason = "small"
ours = ["a.b.c", "a.b.d"]

[[claim.check]]
kind = "inference"
what = "the conclusion"
theirs = "so"

[[claim.check.arms]]
name = "arm"
op = "inside"
bounds = [0, 1]
reason = "small"
address = "a.b.e"
"""


def write(folder: Path, text: str, name: str = "000.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_ledger_holds_the_claims_of_this_paper():
    claims = load_claims()
    ids = [*range(1, 8), *range(10, 18), *range(20, 29), *range(30, 36), *range(40, 50)]
    bases = list(dict.fromkeys(claim.base for claim in claims))
    assert bases == [f"C{id:02d}" for id in ids]
    split = {claim.base: claim.id[3:] for claim in claims if claim.id != claim.base}
    assert split == {
        **dict.fromkeys(("C03", "C05", "C26", "C33", "C48"), "b"),
        **dict.fromkeys(("C32", "C46", "C49"), "c"),
    }
    bibliography = (ROOT / "paper/references.bib").read_text("utf-8")
    assert not [claim.id for claim in claims if f"{{{claim.citation}," not in bibliography]


def test_kinds_are_those_of_the_audit():
    kinds = {claim.id: claim.kind for claim in load_claims()}
    assert (kinds["C03a"], kinds["C03b"]) == ("figure", "equality")
    assert kinds["C16"] == "figure, inference"
    assert (kinds["C06"], kinds["C17"], kinds["C47"]) == ("cost",) * 3
    assert (kinds["C27"], kinds["C28"]) == ("shown",) * 2
    assert kinds["C22"] == "chance"


def test_claims_about_language_models_name_their_subjects():
    claims = {claim.id: claim for claim in load_claims()}
    own = {"C34"} | {id for id in claims if id < "C20"}
    own |= {"C20", "C40", "C41"}  # figures, judged on the report's model or not at all
    scopes = {id: claim.scope for id, claim in claims.items() if not claim.is_note}
    assert {id for id, scope in scopes.items() if scope == "own"} == own & set(scopes)
    assert {id for id, scope in scopes.items() if scope == "general"} == {"C22"}
    subjects = {id: {check.subject for check in claims[id].check} for id in scopes}
    assert subjects["C30"] == {"small", "modular addition"}
    assert subjects["C24"] == {"small"}


def test_no_address_is_named_in_code():
    addresses = {address for claim in load_claims() for address in claim.addresses}
    code = "".join(
        path.read_text("utf-8") for path in (ROOT / "code/seedstability/ledger").glob("*.py")
    )
    assert not [address for address in addresses if address in code]


def test_what_an_entry_becomes(tmp_path):
    first, second = load_claims(write(tmp_path, WHOLE))
    assert isinstance(first.check[0], Figure)
    assert first.check[0].stated == "0.2864"
    equality, inference = second.check
    assert isinstance(equality, Equality)
    assert equality.ours == ("a.b.c", "a.b.d")
    assert isinstance(inference, Inference)
    assert inference.arms[0].bounds == (0.0, 1.0)
    assert second.addresses == ("a.b.c", "a.b.d", "a.b.e")


@pytest.mark.parametrize(
    ("there", "instead", "said"),
    [
        ('says = "It is so"', "", "C01: says is missing"),
        ('id = "C01"', "", "entry 1: id is missing"),
        ('id = "C01"', 'id = "1"', "1: id is '1'; it must be like C01 or C01a"),
        ('id = "C02"', 'id = "C01"', "C01 stands also in"),
        (
            "tolerance = 0.005",
            "tolerence = 0.005",
            "check 1: tolerence is no field; near: tolerance",
        ),
        ("tolerance = 0.005", "tolerance = -1", "check 1: tolerance is -1.0; it must be above 0"),
        ("tolerance = 0.005", "tolerance = nan", "tolerance is nan; it must be a finite number"),
        ("tolerance = 0.005", 'tolerance = "small"', "tolerance is 'small'"),
        ('reason = "small"\nours = "a.b.c"', 'ours = "a.b.c"', "check 1: reason is missing"),
        ('theirs = "0.2864"', 'theirs = "0,2864"', "it must be a figure as printed"),
        ('theirs = "0.2864"', "theirs = 0.2864", "it must be a text"),
        ('kind = "figure"', 'kind = "figur"', "check 1: kind is 'figur'; it must be one of figure"),
        ('ours = "a.b.c"', 'ours = "a.b"', "'a.b' is no address"),
        ('["a.b.c", "a.b.d"]', '["a.b.c", "a.b.d", "a.b.e"]', "ours has 3 addresses"),
        ('op = "inside"', 'op = "within"', "check 2: arms 1: op is 'within'; it must be one of"),
        ("bounds = [0, 1]", "bounds = [0]", "bounds of inside must be 2, not 1"),
        (
            'op = "inside"\nbounds = [0, 1]',
            'op = "equivalent"\nbounds = [-1]',
            "check 2: arms 1: the bound is -1.0; it must be above 0",
        ),
        ('address = "a.b.e"', "", "check 2: arms 1: address is missing"),
        ('citation = "stability000"', "", "citation is None; it must be a text"),
        ("[[claim]]", "[[claim]", "cannot be read"),
        (
            'where = "Results"',
            'where = "R"\nscope = "all"',
            "scope is 'all'; it must be one of own",
        ),
        ('where = "Results"', 'where = "R"\nscope = "model"', "names no subject, but the scope"),
        ('what = "the value"', 'what = "v"\nsubject = "small"', "the scope is not model"),
        ('what = "the value"', 'what = "v"\nsubject = "tiny"', "subject is 'tiny'; it must be"),
        ('where = "Results"', 'where = "R"\nrule_commit = "abc"', "stand together or not at all"),
        (
            'where = "Results"',
            'where = "R"\nrule_commit = "abc"\nrule_date = "2026-01-31 23:59"',
            "rule_commit must be a whole hash",
        ),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, there, instead, said):
    assert there in WHOLE
    with pytest.raises(UserError) as refused:
        load_claims(write(tmp_path, WHOLE.replace(there, instead, 1)))
    message = str(refused.value)
    assert said in message
    assert "000.toml" in message
    assert "\n" not in message


def test_an_id_stands_once_over_all_files(tmp_path):
    write(tmp_path, WHOLE)
    with pytest.raises(UserError, match=r"001\.toml: C01 stands also in .*000\.toml"):
        load_claims(write(tmp_path, WHOLE, "001.toml"))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "000.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"000\.toml cannot be read"):
        load_claims(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no claims"):
        load_claims(tmp_path)


def test_an_unknown_claim_names_near_ones():
    with pytest.raises(UserError, match=r"no claim 'C08'; near: C\d\d, "):
        select(load_claims(), ["C08"])
    assert [claim.id for claim in select(load_claims(), ["C10", "C02"])] == ["C02", "C10"]
    assert select(load_claims(), []) == load_claims()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("C05", ["C05a", "C05b"]),
        ("c05", ["C05a", "C05b"]),
        ("C05a", ["C05a"]),
        ("C05B", ["C05b"]),
        ("c22", ["C22"]),
    ],
)
def test_an_id_without_its_letter_means_all_that_have_it_in_any_case(asked, found):
    assert [claim.id for claim in select(load_claims(), [asked])] == found


def test_notes_and_claims_are_not_mixed(tmp_path):
    note = WHOLE + '\n[[note]]\nid = "C03"\nsays = "It takes long"\nwhere = "Results"\n'
    check = '[[note.check]]\nkind = "{}"\nwhat = "time"\ntheirs = "3 h"\n{}\n'
    shown = check.format("shown", "factors = [1, 2.5]\nunit = 'h'")
    (_, _, kept) = load_claims(write(tmp_path, note + shown))
    assert (kept.id, kept.is_note) == ("C03", True)
    chance = check.format("chance", 'tolerance = 1\nreason = "r"\nours = "a.b.c"')
    with pytest.raises(UserError, match="C03: check of kind chance belongs to a claim"):
        load_claims(write(tmp_path, note + chance.replace("3 h", "3")))
    moved = shown.replace("note.check", "claim.check")
    with pytest.raises(UserError, match="C02: check of kind shown belongs to a note"):
        load_claims(write(tmp_path, WHOLE + moved))
    with pytest.raises(UserError, match="has an address in ours, or factors, and not both"):
        load_claims(write(tmp_path, note + check.format("shown", "")))


def test_parts_needed_come_from_the_addresses():
    needed = {claim.id: parts_needed(claim) for claim in load_claims()}
    assert needed["C02"] == {("consistency", part) for part in ("cut", "leaky", "clean")}
    assert needed["C22"] == {("chance", "headline")}
    assert needed["C47"] == {("matching", "measured")}
    assert needed["C06"] == needed["C28"] == set()
