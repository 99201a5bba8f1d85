import pytest

from audit.ledger.loading import load_claims
from audit.manuscript.macros import Source, uses, values_tex
from audit.manuscript.sources import edition_of
from audit.pipeline.locking.values import Values
from helpers.manuscript_values import edition
from seedstability.errors import UserError


def written(text: str, **changes) -> str:
    return values_tex([Source("paper/sections/a.tex", text)], edition(**changes))


@pytest.mark.parametrize(
    ("asked", "printed"),
    [
        (r"\result{chance.size.similarity}", "{0.302}"),
        (r"\result{chance.size.difference}", r"{\ensuremath{-0.012}}"),
        (r"\result{chance.size.samples}", "{10{,}215}"),
        (r"\result{chance.size.share}", r"{53.0\%}"),
        (r"\resultinterval{chance.size.similarity}", "{[0.300, 0.305]}"),
        (r"\resultintervalname{chance.size.similarity}", r"{95\% jackknife over 20 seeds}"),
        (r"\resultchance{chance.size.similarity}", "{0.299}"),
        (r"\resulttext{chance.size.model}", r"{small\_model \& more}"),
        (r"\edition{commit}", "{0123abc}"),
    ],
)
def test_each_macro_prints_the_value_at_its_address(asked, printed):
    assert written(asked).splitlines()[-1].endswith(printed)


def test_only_used_values_are_written_in_a_fixed_order():
    text = "\\result{chance.size.share}\n% \\result{chance.nothing}\n\\result{chance.size.samples}"
    lines = written(text).splitlines()[1:]
    assert [line.split("}{")[1] for line in lines] == ["chance.size.samples", "chance.size.share"]


def test_uses_have_their_line():
    found = list(uses(Source("a.tex", "one\n\\result{x.y}\n\\result {z} % \\result{no}")))
    assert [(use.address, use.place) for use in found] == [("x.y", "a.tex:2"), ("z", "a.tex:3")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (r"\result{chance.size.similarty}", "near: .*chance.size.similarity"),
        (r"\result{chance.size.model}", "no number"),
        (r"\resulttext{chance.size.share}", "no text"),
        (r"\resultinterval{chance.size.share}", "has no interval"),
        (r"\resultchance{chance.size.share}", "has no chance level"),
        (r"\resultintervalname{chance.size.share}", "does not say what its interval is"),
        (r"\edition{comit}", "near: commit"),
        (r"\claim{C99}", "no claim of this name"),
    ],
)
def test_missing_value_error_has_its_line(asked, said):
    with pytest.raises(UserError, match=rf"^paper/sections/a.tex:3: .*{said}"):
        written(f"first\nsecond\n{asked}")


def test_figures_of_reports_come_from_the_ledger():
    unjudged = edition_of(Values({}), {}, claims=load_claims())
    text = r"\claim{C01} \claimed{C01} \claimed{C13:dead latents, ReLU}"
    written = values_tex([Source("a.tex", text)], unjudged)
    assert r"\definevalue{claim}{C01}{C01}" in written
    assert r"\definevalue{claimed}{C01}{0.2864}" in written
    assert r"{15.6\%}" in written


def test_the_tally_and_claims_without_their_letter_come_from_the_ledger():
    edition = edition_of(Values({}), {}, claims=load_claims())
    text = r"\claim{C05} \claim{C05b} \tally{not testable here} \tally{mixed} \tally{notes}"
    text += r" \tally{late}"
    written = values_tex([Source("a.tex", text)], edition)
    assert r"\definevalue{claim}{C05}{C05}" in written
    assert r"\definevalue{claim}{C05b}{C05b}" in written
    claims = [claim for claim in load_claims() if not claim.is_note]
    assert rf"\definevalue{{tally}}{{not testable here}}{{{len(claims)}}}" in written
    assert r"\definevalue{tally}{mixed}{0}" in written
    assert r"\definevalue{tally}{notes}{5}" in written
    late = sum(claim.changed_after_results for claim in claims)
    assert rf"\definevalue{{tally}}{{late}}{{{late}}}" in written
    with pytest.raises(UserError, match=r"a\.tex:1: .*no count of the ledger of this name; near: "):
        values_tex([Source("a.tex", r"\tally{transfer}")], edition)
