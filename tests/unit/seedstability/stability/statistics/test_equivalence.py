"""Equivalence within one margin, wherever it is asked."""

import re

import numpy as np
import pytest

from helpers.repository import ROOT
from seedstability.stability.statistics.equivalence import EQUIVALENCE_MARGIN, equivalent


def test_equivalence_needs_both_ends_inside():
    assert equivalent(-0.01, 0.015)
    assert equivalent(-0.02, 0.02)
    assert not equivalent(-0.021, 0.01)
    assert not equivalent(-0.01, 0.021)
    assert not equivalent(0.03, 0.04)
    assert equivalent(0.03, 0.04, margin=0.05)
    assert not equivalent(np.nan, np.nan)
    with pytest.raises(ValueError, match="positive"):
        equivalent(0.0, 0.0, margin=0.0)


def test_the_paper_states_the_margin_that_is_computed_with():
    names = (ROOT / "paper" / "names.tex").read_text("utf-8")
    [stated] = re.findall(r"\\equivalencemargin\}\{(.*?)\}", names)
    assert float(stated) == EQUIVALENCE_MARGIN
