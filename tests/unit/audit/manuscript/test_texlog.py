import pytest

from audit.manuscript.texlog import tex_messages


def said(log: str) -> list[str]:
    return [str(message) for message in tex_messages(log, "manuscript.tex")]


OPENING = "(./manuscript.tex\n(/usr/share/texmf/article.cls) (./sections/chance.tex [1] "


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            f"{OPENING}\nOverfull \\hbox (12.3pt too wide) in paragraph at lines 4--9\n"
            "[]\\T1/lmr/m/n/10.95 some (words\n\n)",
            "sections/chance.tex:9: Overfull \\hbox (12.3pt too wide)",
        ),
        (
            f"{OPENING})\nOverfull \\vbox (3.0pt too high) has occurred while \\output is"
            " active []",
            "manuscript.tex: Overfull \\vbox (3.0pt too high)",
        ),
        (
            f"{OPENING}\nLaTeX Warning: Reference `fig:x' on page 2 undefined on input line 7.\n",
            "sections/chance.tex:7: Reference `fig:x' undefined",
        ),
        (
            f"{OPENING}\nPackage natbib Warning: Citation `a2025' on page 1 undefined on input"
            " line 3.\n",
            "sections/chance.tex:3: Citation `a2025' undefined",
        ),
        (
            f"{OPENING}\nLaTeX Warning: Label `sec:x' multiply defined.\n",
            "sections/chance.tex: Label `sec:x' multiply defined",
        ),
        (
            f"{OPENING}\n./sections/chance.tex:12: Undefined control sequence.\nl.12 \\nope\n",
            "sections/chance.tex:12: Undefined control sequence.",
        ),
        (
            f"{OPENING}\nMissing character: There is no ^^ce in font ec-lmr10!\n",
            "sections/chance.tex: There is no ^^ce in font ec-lmr10",
        ),
        (
            "(./manuscript.tex)\npdfTeX warning (dest): name{claim:C30} has been referenced but"
            " does not exist, replaced by a fixed one\n",
            "manuscript.tex: name{claim:C30} has been referenced but does not exist",
        ),
    ],
)
def test_messages_have_file_and_line(log, expected):
    assert said(log) == [expected]


def test_parentheses_in_a_box_open_and_close_no_file():
    log = (
        f"{OPENING}\nUnderfull \\hbox (badness 10000) in paragraph at lines 1--2\n"
        "[]\\T1/lmr/m/n/10 closing )) and (see the.end\n\n"
        "Overfull \\hbox (1.0pt too wide) in paragraph at lines 3--3\n"
    )
    assert said(log) == ["sections/chance.tex:3: Overfull \\hbox (1.0pt too wide)"]


def test_clean_log_has_no_messages():
    assert said(f"{OPENING})\nLaTeX Font Info: fine\nOutput written on paper.pdf (1 page).)") == []


def test_only_errors_stop():
    found = list(
        tex_messages(
            f"{OPENING}\n./a.tex:1: Bad.\nLaTeX Warning: Label `x' multiply defined.",
            "manuscript.tex",
        )
    )
    assert [message.stops for message in found] == [True, False]
