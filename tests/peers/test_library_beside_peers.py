"""The library in the environment of sae-lens, sparsify and dictionary_learning."""

import json
import os
import re
import subprocess

import pytest

from helpers.comparison_data import schema_errors
from helpers.declared import declared_dependencies
from helpers.repository import CODE

# Slow where the environment has to be made: 1.8 GB, half a minute to a few.
pytestmark = pytest.mark.slow


def test_what_the_library_declares_is_met_there(peers_python):
    names = [requirement.name for requirement in declared_dependencies()]
    code = f"from importlib.metadata import version; print(*map(version, {names}))"
    versions = subprocess.check_output([peers_python, "-c", code], text=True).split()
    for requirement, version in zip(declared_dependencies(), versions, strict=True):
        assert requirement.specifier.contains(re.sub(r"\+.*", "", version)), requirement


def test_their_checkpoints_are_compared_beside_the_libraries_that_wrote_them(
    peers_python, theirs, tmp_path
):
    folders = [theirs / "read" / library / "topk" for library in ("saelens", "dictionary_learning")]
    code = "import sae_lens, sys; from seedstability.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["compare", *folders, "--activations", theirs / "x.npy", "--out", tmp_path / "report"]
    ran = subprocess.run(
        [peers_python, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(CODE), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    document = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert schema_errors(document) == []
    formats = [each["format"] for each in document["inputs"]["dictionaries"]]
    assert formats == ["saelens", "dictionary_learning"]
