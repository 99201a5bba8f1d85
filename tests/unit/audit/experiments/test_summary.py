"""What the paper prints of a similarity is what a report says of it."""

import numpy as np
import pytest

from audit.experiments.common.summary import similarities
from helpers.comparison_data import activations, planted
from seedstability import compare


def test_report_and_paper_print_the_same_estimate():
    saes, x = planted(6, n=48, d=8, shared=20), activations(300, 8)
    document = compare(saes, x).document
    matrices = document["pairs"]["full"]
    for name in ("max_cosine", "shared"):
        entry = document["measures"]["full"][name]
        values = np.array(matrices[name], float)
        printed = similarities({"full": {name: values}, "isotropic": {name: 0.0}}, names=[name])[
            name
        ]["value"]
        for end in ("value", "low", "high"):
            assert getattr(printed, end) == pytest.approx(entry[end], rel=1e-5)
        assert (printed.unit, printed.interval) == (entry["unit"], entry["interval"])
