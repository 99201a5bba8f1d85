"""Each locked profile holds every value that the manuscript's text and tables ask for."""

import pytest

from audit.manuscript.compiler import assemble
from audit.pipeline.graph.keys import current_sources
from audit.session import Session
from helpers.repository import ROOT


@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_every_address_of_the_manuscript_is_locked(profile, tmp_path):
    edition = Session(ROOT, profile).edition(False)
    assemble(edition, ROOT / "paper", tmp_path, (), current_sources())
    assert (tmp_path / "values.tex").is_file()
