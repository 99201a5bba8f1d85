"""The report in a real browser: no console errors, no requests, sorting and searching."""

import contextlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from helpers import chromium
from helpers.report_documents import example
from seedstability.report.page.rendering import render

HOSTILE = [
    "<script>window.hit=1</script>",
    "</script><script>window.hit=1</script>",
    "a & 'b' \"c\"",
]
TABLE = """[...document.querySelectorAll("#latent-table tbody tr")].map(
    row => [...row.children].map(cell => cell.textContent))"""
COLUMNS = ("seed", "latent", "p", "best", "matched", "firing", "partner seed", "partner")


@pytest.fixture(scope="session")
def browser() -> str:
    found = chromium.installed()
    if not found and os.environ.get("CI"):
        pytest.fail("no chromium here; .ci/run installs it as root")
    if not found:
        # As with the container engine: optional on a developer's machine, required in CI.
        pytest.skip("no chromium here; Debian's package is called chromium")
    return found


@contextlib.contextmanager
def opened(browser: str, folder: Path, html: str) -> Iterator[chromium.Page]:
    file = folder / "report.html"
    file.write_text(html, encoding="utf-8")
    with chromium.page(browser, folder) as page:
        page.open(file)
        yield page


@pytest.fixture(scope="module")
def window(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with opened(browser, folder, render(*example())) as page:
        yield page, folder / "report.html"


@pytest.fixture
def page(window) -> chromium.Page:
    """The freshly opened page, in one browser for all tests."""
    page, file = window
    page.open(file)
    return page


def click_heading(page, key: str) -> None:
    page.click(f'th[data-key="{key}"] button')


def search(page, text: str) -> str:
    page.evaluate("document.querySelector('#search').select()")
    page.type(text)
    return page.evaluate("document.querySelector('#search-said').textContent")


def all_rows(page) -> list[list[str]]:
    page.click("#first")
    rows = page.evaluate(TABLE)
    while not page.evaluate("document.querySelector('#next').disabled"):
        page.click("#next")
        rows += page.evaluate(TABLE)
    return rows


def shown(page, key: str) -> list[float | None]:
    texts = [row[COLUMNS.index(key)] for row in all_rows(page)]
    return [None if text == "–" else float(text.replace("−", "-")) for text in texts]


def test_page_has_no_console_errors_and_no_requests(page):
    click_heading(page, "best")
    search(page, "best>0.5")
    assert page.console_errors == []
    files = [address for address in page.requests if not address.startswith("data:")]
    assert {Path(address).name for address in files} == {"report.html"}
    assert all(address.startswith("file:") for address in files)


def test_console_errors_and_requests_are_detected(browser, tmp_path):
    broken = render(*example(n_seeds=2)).replace("<body>", '<body><img src="http://127.0.0.1:9/x">')
    with opened(browser, tmp_path, broken.replace('id="search"', 'id="lost"')) as found:
        said = " ".join(found.console_errors)
    assert "violates the following Content Security Policy" in said
    assert "TypeError" in said


def test_headings_sort_both_ways_with_unknown_values_last(page):
    matched = example()[1]["matched_cosine"].ravel().astype(float)
    known = np.sort(matched[np.isfinite(matched)])
    click_heading(page, "matched")
    up = shown(page, "matched")
    click_heading(page, "matched")
    down = shown(page, "matched")
    assert up[-1] is None
    assert down[-1] is None
    np.testing.assert_allclose(up[:-1], known, atol=6e-4)
    np.testing.assert_allclose(down[:-1], known[::-1], atol=6e-4)


def test_sort_is_stable(page):
    click_heading(page, "best")
    click_heading(page, "best")
    click_heading(page, "p")
    rows = list(zip(shown(page, "p"), shown(page, "best"), strict=True))
    assert all(p < q or y is None or x >= y for (p, x), (q, y) in pairwise(rows))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("seed 3", lambda row: row["seed"] == 3),
        ("Seed  3 10-12", lambda row: row["seed"] == 3 and 10 <= row["latent"] <= 12),
        ("17", lambda row: row["latent"] == 17),
        ("best>0.9 p<=0.5", lambda row: row["best"] > 0.9 and row["p"] <= 0.5),
        ("firing=0", lambda row: row["firing"] == 0),
    ],
)
def test_search_keeps_matching_rows(page, text, holds):
    arrays = example()[1]
    rows = [
        {
            "seed": seed,
            "latent": latent,
            "best": np.round(arrays["best_cosine"][seed, latent], 4),
            "p": arrays["reproducibility"][seed, latent],
            "firing": arrays["firing"][seed, latent],
        }
        for seed, latent in np.ndindex(arrays["best_cosine"].shape)
    ]
    wanted = [(f"seed {row['seed']}", str(row["latent"])) for row in rows if holds(row)]
    assert wanted
    assert search(page, text) == f"{len(wanted)} of 320 rows"
    assert [tuple(row[:2]) for row in all_rows(page)] == wanted


def test_dictionary_named_by_a_number_is_not_taken_for_a_latent(browser, tmp_path):
    html = render(*example(3, names=["0", "1", "2"]))
    with opened(browser, tmp_path, html) as found:
        assert search(found, "1") == "3 of 192 rows"
        assert search(found, "dictionary 1") == "64 of 192 rows"
        assert search(found, "dictionary 1 5") == "1 of 192 rows"
        assert found.evaluate("document.querySelector('#named').textContent") == "dictionary 2"


def test_search_reports_what_it_does_not_understand(page):
    assert search(page, "seed 1 bset>0.9") == "Not understood: bset>0.9"
    assert page.evaluate(TABLE) == []


def test_pages_can_be_turned_to_the_last(page):
    place = "document.querySelector('#place').textContent"
    assert page.evaluate(place) == "page 1 of 7"
    page.click("#next")
    assert page.evaluate(place) == "page 2 of 7"
    page.click("#last")
    assert page.evaluate(place) == "page 7 of 7"
    assert len(page.evaluate(TABLE)) == 320 - 6 * 50
    search(page, "p>=0")
    assert page.evaluate(place) == "page 1 of 7"
    page.click("#last")
    disabled = [f"document.querySelector('#{name}').disabled" for name in ("first", "next", "last")]
    assert [page.evaluate(each) for each in disabled] == [False, True, True]


def test_keyboard_alone_sorts_and_announces_it(page):
    page.evaluate("document.querySelector('#search').focus()")
    sorts = """document.activeElement.closest("th")?.getAttribute("aria-sort")"""
    # Tab moves from the search box to the scrolling box, and then to the first heading.
    page.press("Tab")
    page.press("Tab")
    assert page.evaluate(sorts) == "none"
    page.press("Enter")
    assert page.evaluate(sorts) == "ascending"
    page.press(" ")
    assert page.evaluate(sorts) == "descending"
    assert page.evaluate("document.activeElement.textContent") == "dictionary"
    assert page.evaluate(TABLE)[0][0] == "seed 4"


def test_names_are_escaped(browser, tmp_path):
    document, arrays = example(n_seeds=3, names=HOSTILE)
    with opened(browser, tmp_path, render(document, arrays)) as found:
        assert found.evaluate("window.hit") is None
        assert found.evaluate(f"{TABLE}[0][0]") == HOSTILE[0]
        found.evaluate("document.querySelector('#search').focus()")
        found.type(HOSTILE[1])
        said = found.evaluate("document.querySelector('#search-said').textContent")
        assert said == "64 of 192 rows"
        assert found.console_errors == []


@pytest.mark.parametrize("n_seeds", [2, 20])
def test_page_fits_the_width_of_a_phone(browser, tmp_path, n_seeds):
    # A long path without a space is the usual cause of overflow.
    document, arrays = example(n_seeds)
    document["inputs"]["dictionaries"][0]["folder"] = "runs/" + "x" * 300
    with opened(browser, tmp_path, render(document, arrays)) as found:
        found.narrow(380)
        found.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert found.evaluate("document.documentElement.scrollWidth") == 380


def test_twenty_thousand_rows_sort_within_a_second(browser, tmp_path):
    with opened(browser, tmp_path, render(*example(20, 2000))) as found:
        took = found.evaluate(
            """(() => {const start = performance.now();
                document.querySelector('th[data-key="best"] button').click();
                return performance.now() - start;})()"""
        )
    assert took < 1000
