"""The report on disk: written atomically, reproducible, and valid by its schema."""

import copy
import hashlib
import json

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import seedstability
from helpers.comparison_data import SCHEMA, activations, planted, schema_errors
from seedstability.errors import UserError
from seedstability.report import report as reports
from seedstability.report.compare import compare
from seedstability.report.page import figures


@pytest.fixture(scope="module")
def report():
    return compare(planted(3, n=24, d=8, shared=6), activations=activations(400, 8))


def digests(folder) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def test_write_creates_three_files_with_the_results(report, tmp_path):
    files = report.write(tmp_path / "out")
    assert [file.name for file in files] == list(reports.FILES)
    document = json.loads(files[0].read_text("utf-8"))
    assert document == report.document
    assert schema_errors(document) == []
    with np.load(files[1]) as kept:
        assert set(kept) == set(report.arrays)
        assert {kept[name].dtype.byteorder for name in kept} <= {"<", "="}
        assert kept["partner"].dtype == np.int32
        assert kept["price_a"].dtype == np.float64
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_written_bytes_are_reproducible(report, tmp_path):
    report.write(tmp_path / "one")
    report.write(tmp_path / "other")
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_earlier_reports_are_replaced_and_other_files_kept(report, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    report.write(out)
    (out / "latents.npz").write_bytes(b"old")
    report.write(out)
    assert (out / "latents.npz").stat().st_size > 100
    (out / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="other files"):
        report.write(out)
    assert (out / "mine.txt").read_text() == "keep"
    other = tmp_path / "other"
    other.mkdir()
    (other / "report.json").write_text('{"schema": "another tool"}')
    with pytest.raises(UserError, match="other files"):
        report.write(other)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(UserError, match="not a directory"):
        report.write(file)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError("disk full")])
def test_interrupted_writes_keep_the_earlier_report(report, tmp_path, monkeypatch, stop):
    out = tmp_path / "out"
    report.write(out)
    before = digests(out)

    def savez(*args, **arrays):
        raise stop

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises((KeyboardInterrupt, UserError)):
        report.write(out)
    assert digests(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("stop", [ValueError("no font"), KeyboardInterrupt()], ids=["bug", "stop"])
def test_the_data_are_on_disk_before_anything_is_drawn(report, tmp_path, monkeypatch, stop):
    out = tmp_path / "out"
    report.write(out)
    before = digests(out)
    (out / "latents.npz").write_bytes(b"of an earlier comparison")

    def draw(*_):
        raise stop

    monkeypatch.setattr(figures, "distribution", draw)
    expected = UserError if isinstance(stop, ValueError) else KeyboardInterrupt
    with pytest.raises(expected, match=r"no font\); report\.json and latents\.npz are in|^$"):
        report.write(out)
    assert digests(out) == {name: before[name] for name in ("latents.npz", "report.json")}
    monkeypatch.undo()
    report.write(out)
    assert digests(out) == before


def test_what_a_killed_writer_left_does_not_stand_in_the_way(report, tmp_path):
    report.write(tmp_path)
    (tmp_path / ".report.html.0a1b2c3d.partial").write_text("half")
    report.write(tmp_path)
    assert sorted(digests(tmp_path)) == sorted(reports.FILES)


def test_names_that_are_not_utf_8_are_written_as_escapes(report, tmp_path):
    document = copy.deepcopy(report.document)
    document["inputs"]["dictionaries"][0]["name"] = "seed\udce9"
    files = reports.Report(document, report.arrays).write(tmp_path / "out")
    assert json.loads(files[0].read_bytes()) == document
    assert "seed?" in files[2].read_text("utf-8")


def test_a_notebook_shows_the_findings(report):
    assert repr(report).splitlines() == report.summary
    shown = report._repr_html_()
    assert shown.count("<li>") == len(report.summary)
    document = {**report.document, "summary": ["a < b"]}
    assert "a &lt; b" in reports.Report(document, report.arrays)._repr_html_()


def test_the_schema_is_valid_and_rejects_invalid_documents(report):
    Draft202012Validator.check_schema(SCHEMA)

    def broken(*path, value=None, remove=False) -> list[str]:
        document = copy.deepcopy(report.document)
        inner = document
        for step in path[:-1]:
            inner = inner[step]
        if remove:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        return schema_errors(document)

    assert broken("schema", value="seedstability-report-0")
    assert broken("summary", remove=True)
    assert broken("stranger", value=1)
    assert broken("inputs", "dictionaries", 0, "files", "encoder", value="abc")
    assert broken("measures", "full", "max_cosine", "value", value=None)
    assert broken("measures", "full", "max_cosine", "chance", "gauge", remove=True)
    assert broken("measures", "full", "my_cosine", value={})
    assert broken("reproducibility", "thresholds", "0.7", "chance", "isotropic", value=1.5)
    assert broken("matchings", 0, "of", value="both")
    assert broken("distribution", "best", value=[0.0])


def test_the_package_exports_compare_and_report(report):
    assert seedstability.compare.__wrapped__ is compare
    assert isinstance(report, seedstability.Report)
    assert report.summary == report.document["summary"]
