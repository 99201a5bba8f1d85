"""Made-up values for the manuscript's tests."""

import numpy as np

from audit.manuscript.edition import Edition, StageCost
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar

TREE = {
    "chance": {
        "size": {
            "similarity": Scalar(
                0.30211, low=0.3, high=0.305, interval="95% jackknife over 20 seeds", chance=0.2988
            ),
            "difference": Scalar(-0.0123),
            "share": Scalar(53.04, digits=1, unit="%"),
            "seconds": Scalar(12.3, digits=1, unit="s"),
            "samples": 10215,
            "model": "small_model & more",
        },
        "curve": {"x": Array(np.array([1.0, 2.0])), "y": Array(np.array([0.5, 0.25]))},
        "points": {
            "first": {"reported": 0.302, "chance": 0.299, "report": "one", "what": "a",
                      "chance_is": "drawn"},
            "second": {"reported": 0.5, "chance": 0.1, "report": "two", "what": "b",
                       "chance_is": "upper bound"},
        },
    }
}  # fmt: skip


def edition(**changes) -> Edition:
    given = {
        "values": Values.from_tree(TREE, "the test's values"),
        "date": "2026-01-31",
        "commit": "0123abc",
        "stages": [StageCost("chance/size", 1.25, 300.0)],
    }
    return Edition(**(given | changes))
