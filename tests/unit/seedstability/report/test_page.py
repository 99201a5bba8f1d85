"""The report's page: self-contained, reproducible, and with user text escaped."""

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from helpers.report_documents import example
from seedstability.report.page import latents, tables
from seedstability.report.page import terms as words
from seedstability.report.page.rendering import render

HOSTILE = "</script><script>alert('1 & 2')</script><img src=http://127.0.0.1/x onerror=\"a()\">"


class Parsed(HTMLParser):
    """Elements with their attributes, and the text between the tags of each kind."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open:
            self.texts[self._open][-1] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def listed(self) -> dict:
        return json.loads(self.texts["script"][0])

    def values(self, key: str) -> list:
        return next(each["values"] for each in self.listed()["columns"] if each["key"] == key)


@pytest.fixture(scope="module")
def five() -> str:
    return render(*example())


@pytest.fixture(scope="module")
def parsed(five) -> Parsed:
    return Parsed(five)


def test_the_same_report_gives_the_same_bytes(five):
    assert render(*example()) == five


def test_the_page_does_not_depend_on_the_environment(five, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert render(*example()) == five


def test_the_page_has_no_external_references(five, parsed):
    refers = {"src", "href", "xlink:href", "action", "data", "srcset", "poster"}
    for tag, attributes in parsed.elements:
        for name in refers & attributes.keys():
            assert attributes[name].startswith(("#", "data:")), (tag, attributes)
    named = {name for _, attributes in parsed.elements for name in attributes}
    assert not {name for name in named if name.startswith("on")}
    # XML namespaces of SVG, which are not fetched.
    rest = five.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in rest.replace("http://www.w3.org/1999/xlink", "").replace("http-equiv", "")
    assert "@import" not in five
    assert not re.search(r"url\((?!#)", five)


def test_the_policy_allows_only_this_script(parsed):
    policy = next(a["content"] for tag, a in parsed.elements if "http-equiv" in a)
    script = parsed.texts["script"][1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "eval" not in script
    assert parsed.count("script") == 2


@pytest.mark.parametrize("shape", [{}, {"n_seeds": 2, "activations": False}, {"n_seeds": 20}])
def test_ids_are_unique_and_references_resolve(shape):
    html = render(*example(**shape))
    parsed = Parsed(html)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:url\(#|href="#|aria-describedby=")([^")]+)', html)
    assert used
    assert {name for each in used for name in each.split()} <= set(ids)


def with_hostile_words() -> tuple[dict, dict]:
    """A report with hostile text in every place that a user can fill."""
    document, arrays = example(3, names=[f"{index}{HOSTILE}" for index in range(3)])
    document = copy.deepcopy(document)
    for each in document["inputs"]["dictionaries"] + document["inputs"]["initial"]:
        each |= {"folder": HOSTILE, "format": HOSTILE, "architecture": HOSTILE}
        each["files"] = {HOSTILE: HOSTILE}
    document["inputs"]["activations"] |= {"file": HOSTILE, "sha256": {HOSTILE: HOSTILE}}
    document["settings"][HOSTILE] = HOSTILE
    document["summary"].append(HOSTILE)
    document["notes"].append(HOSTILE)
    document["software"]["packages"][HOSTILE] = HOSTILE
    document["matchings"][0]["method"] = HOSTILE
    document["measures"]["full"][HOSTILE] = document["measures"]["full"]["shared"]
    document["measures"][HOSTILE] = document["measures"]["full"]
    return document, arrays


def test_user_text_is_escaped():
    document, arrays = with_hostile_words()
    parsed = Parsed(render(document, arrays))
    assert parsed.count("script") == 2
    assert parsed.count("img") == 0
    assert parsed.listed()["names"] == [f"{index}{HOSTILE}" for index in range(3)]
    assert HOSTILE in "".join(parsed.texts["td"])


@pytest.mark.parametrize("name", ["$\\frac$", "a\x00b\n", "数字", "x" * 200, "\\frac{1}{2}", "%s"])
@pytest.mark.filterwarnings("error")
def test_names_of_any_characters_can_be_drawn(name):
    assert render(*example(2, names=[name, "other"]))


def test_the_page_shows_measured_values(five):
    flat = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", five))
    assert "41% of latents recur; 13% would by chance." in flat
    assert "best partner, signed 0.412 [0.404, 0.420] 0.283 κ 0.180 [0.170, 0.190]" in flat
    assert "shared 13.2% [12.9%, 13.5%] 0.03%" in flat
    assert "In brackets: 95% over 5 seeds." in flat


def test_what_is_missing_is_said_once_and_not_in_every_cell():
    document, arrays = example(2, activations=False)
    html = render(document, arrays)
    assert html.lower().count("not available (–)") == 1
    assert document["notes"][0] in html
    assert (
        "data's covariance</th>"
        not in html.replace("&#39;", "'").split("All measures")[1].split("</table>")[0]
    )
    assert "p against gauge</th>" not in html
    assert "Similarity by firing rate" not in html
    assert "No activations were given." in html


def test_the_main_table_holds_each_measure_against_its_strongest_level():
    document, _ = example()
    rows = {row.term.name: row for row in tables.headline(document)}
    assert len(rows) == 6
    best = rows["best partner, signed"]
    assert (best.value.text, best.chance.text, best.kappa.text) == ("0.412", "0.361", "0.080")
    assert best.level == "gauge-scrambled"
    recurring = rows["latents that recur, at 0.7"]
    assert (recurring.value.text, recurring.chance.text) == ("41.0%", "13.0%")
    document["measures"]["full"]["max_cosine"]["chance"]["gauge"] = None
    fallen = {row.term.name: row for row in tables.headline(document)}["best partner, signed"]
    assert fallen.level == "data's covariance"


def test_pictures_come_before_tables(five):
    assert five.index("<figure>") < five.index("<table>")
    assert five.index('id="pictures"') < five.index('id="measures"') < five.index('id="latents"')


def with_every_latent_dead(document: dict) -> None:
    bins = len(document["firing"]["count"])
    document["firing"] |= dict.fromkeys(("median_cosine", "low", "high"), [None] * bins)
    document["firing"]["count"] = [0] * bins
    document["firing"]["dead"] = {"count": 320, "median_cosine": None}


def with_nothing_optional(document: dict) -> None:
    document |= {"firing": None, "matchings": [], "subspaces": {}, "pairs": {"full": {}}}
    document["reproducibility"] |= {"fit": None, "live": None}
    document["measures"] |= {"live": {}, "span": {}}
    document["distribution"] |= {"matched": None, "chance_matched": None}
    document["software"]["numeric_abi"] = None


def with_values_that_are_all_alike(document: dict) -> None:
    document["pairs"]["full"] = {"max_cosine": [[1.0] * 5] * 5}
    document["distribution"]["best"] = [0.0] * 39 + [1.0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "change", [with_every_latent_dead, with_nothing_optional, with_values_that_are_all_alike]
)
def test_extreme_reports_render(change):
    document, arrays = example()
    change(document)
    html = render(document, arrays)
    assert "nan" not in html.lower()
    assert "None" not in html


def test_null_in_one_row_is_marked_in_that_row():
    document, _ = example()
    document["measures"]["full"]["shared"]["chance"]["data"] = None
    table = tables.measures(document)[0]
    assert [place for _, place in table.columns] == [0, 1, 2, 3]
    cells = {row.term.name: row.levels[2].chance for row in table.rows}
    assert not cells["shared"].known
    assert cells["agreeing"].known


def test_live_latents_have_separate_rows_without_chance():
    rows = tables.camps(example()[0])
    names = [f"{threshold}{of}" for of in ("", ", live latents") for threshold in (0.5, 0.7, 0.9)]
    assert [row.threshold for row in rows] == names
    assert rows[1].chance[3].text == "0.130"
    assert not any(cell.known for cell in rows[4].chance)


def test_one_pair_has_a_value_and_no_range():
    alone = {"value": 0.3, "low": 0.3, "high": 0.3, "interval": "one pair"}
    assert tables.estimate(alone) == tables.Cell("0.300")


def test_the_beta_binomial_fit_is_shown():
    flat = re.sub(r"\s+", " ", render(*example()))
    assert "a 0.31, b 0.52, two camps yes, stable 0.300 [0.200, 0.400]." in flat


def test_intervals_of_different_kinds_are_labeled_separately():
    document, arrays = example()
    document["measures"]["full"]["shared"]["interval"] = "range of 3 pairs"
    assert tables.measures(document)[0].label == ""
    assert "<small>range of 3 pairs</small>" in render(document, arrays)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.3024, "", "0.302"),
        (-0.01234, "", "−0.012"),
        (41.26, "%", "41.3%"),
        (0.0234, "%", "0.02%"),
        (0.0, "%", "0.0%"),
        (0.0001, "%", "<0.01%"),
        (2.5e-7, "", "<0.001"),
        (-2.5e-7, "", "0.000"),
        (None, "%", "–"),
        (float("nan"), "", "–"),
    ],
)
def test_numbers_are_printed_with_significant_digits(value, unit, text):
    assert words.number(value, unit) == text


def test_bounds_are_printed_as_orders_of_magnitude():
    assert words.bound(1.28e-7) == "1.3e−07"
    assert words.bound(None) == "–"


def test_unknown_measures_keep_their_key_as_name():
    assert words.term("new_measure", 0.7).name == "new measure"
    assert words.term("encoder_max_cosine", 0.7).name == "encoder: best partner, signed"
    assert "above 0.8" in words.term("shared", 0.8).meaning


def test_the_table_contains_the_arrays(parsed):
    arrays = example()[1]
    best = np.array(parsed.values("best"), float)
    np.testing.assert_allclose(best, arrays["best_cosine"].ravel(), atol=5.1e-5)
    assert parsed.values("matched")[-1] is None
    np.testing.assert_allclose(parsed.values("firing"), arrays["firing"].ravel(), rtol=5.1e-3)
    assert parsed.values("seed") == np.repeat(np.arange(5), 64).tolist()
    assert parsed.values("latent") == list(range(64)) * 5


def test_latents_that_were_not_compared_are_not_listed():
    arrays = example()[1]
    arrays["best_cosine"][1, [3, 60]] = np.nan
    found = latents.latent_table(list("abcde"), arrays)
    columns = {each["key"]: each["values"] for each in found.columns["columns"]}
    listed = {*zip(columns["seed"], columns["latent"], strict=True)}
    assert {*np.ndindex(5, 64)} - listed == {(1, 3), (1, 60)}
    assert found.rule == "All 318 latents of the 5 dictionaries."


def test_partners_are_listed_in_both_directions_with_their_cosine():
    document, arrays = example(2, activations=False)
    parsed = Parsed(render(document, arrays))
    columns = {each["key"]: each for each in parsed.listed()["columns"]}
    of_first, of_second = (columns[key]["values"] for key in ("in1", "in0"))
    assert of_first[64:] == of_second[:64] == [None] * 64
    partner = np.array(of_first[:64])
    np.testing.assert_array_equal(partner, arrays["partner"][0])
    np.testing.assert_array_equal(np.array(of_second[64:])[partner], np.arange(64))
    cosines = np.array(columns["in1"]["cosines"][:64])
    np.testing.assert_allclose(cosines, arrays["cosine"][0], atol=6e-4)
    back = np.array(columns["in0"]["cosines"][64:])
    np.testing.assert_array_equal(back[partner], cosines)
    assert columns["in1"]["title"] == f"in {document['inputs']['dictionaries'][1]['name']}"


def test_partners_of_many_dictionaries_are_left_to_the_arrays():
    keys = [each["key"] for each in Parsed(render(*example(20))).listed()["columns"]]
    assert not [key for key in keys if key.startswith("in")]


def test_unmatched_latents_have_null_partners():
    arrays = example(2)[1]
    arrays["partner"][0, 3] = -1
    columns = {
        each["key"]: each["values"]
        for each in latents.latent_table(["a", "b"], arrays).columns["columns"]
    }
    assert columns["in1"][3] is None
    assert sum(value is None for value in columns["in1"][:64]) == 1
    assert sum(value is None for value in columns["in0"][64:]) == 1


def test_large_dictionaries_list_both_extremes():
    arrays = example(5, 64)[1]
    arrays["best_cosine"][-1, -1] = np.nan
    found = latents.latent_table(list("abcde"), arrays, most=60)
    columns = {each["key"]: np.array(each["values"], float) for each in found.columns["columns"]}
    assert np.bincount(columns["seed"].astype(int)).tolist() == [12] * 5
    for seed in range(5):
        ours = columns["best"][columns["seed"] == seed]
        all_of_it = arrays["best_cosine"][seed]  # one of them without a direction
        ends = np.sort(all_of_it[np.isfinite(all_of_it)])[[*range(6), *range(-6, 0)]]
        np.testing.assert_allclose(np.sort(ours), ends, atol=5.1e-5)
    assert found.rule.startswith("60 of 319 latents: of each dictionary the 6 with the highest")


def test_twenty_of_the_largest_dictionaries_make_a_page_below_five_megabytes():
    html = render(*example(20, 131_072, 768))
    assert len(html.encode()) < 5_000_000
    assert "20,000 of 2,621,440 latents: of each dictionary the 500 with the highest" in html
