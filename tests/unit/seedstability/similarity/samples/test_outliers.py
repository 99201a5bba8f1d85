"""A few samples of very large norm are named, and what they do to chance levels is shown."""

import pytest
import torch

from helpers.comparison_data import activations, normal, planted, schema_errors
from seedstability.report.compare import compare
from seedstability.similarity.samples.activations import accumulate_moments, open_activations
from seedstability.similarity.samples.outliers import outlier_limit, without_outliers

N_LARGE = 7
SAES = planted(2, n=24, d=12, shared=6)


def with_large(n_large: int = N_LARGE, times: float = 300.0) -> torch.Tensor:
    x = activations(700, 12)
    x[:: len(x) // n_large][:n_large] = times * normal(12, seed=3) + normal(n_large, 12, seed=4)
    return x


def outliers(report) -> dict:
    return report.document["inputs"]["activations"]["outliers"]


def test_the_samples_above_ten_times_the_median_norm_are_found_and_left_out():
    x = with_large()
    opened = open_activations(x, 12)
    limit, count = outlier_limit(accumulate_moments(opened).norms)
    assert limit == pytest.approx(10 * x.double().norm(dim=1).median().item())
    assert count == N_LARGE
    kept = without_outliers(opened, limit, count)
    assert torch.equal(torch.cat([*kept.samples.parts()]), x[x.norm(dim=1) <= limit])
    assert kept.samples.shape == (len(x) - N_LARGE, 12)


def test_a_median_of_zero_makes_no_outliers():
    assert outlier_limit(torch.tensor([0.0, 0.0, 0.0, 1.0])) == (torch.inf, 0)


def test_outliers_that_hold_the_variance_are_said_with_the_levels_without_them():
    x = with_large()
    report = compare(SAES, x)
    found = outliers(report)
    assert schema_errors(report.document) == []
    assert (found["count"], found["dropped"]) == (N_LARGE, False)
    kept = x[x.norm(dim=1) < 100]
    clean = compare(SAES, kept)
    left, total = (v.double().var(dim=0).sum() * (len(v) - 1) for v in (kept, x))
    assert found["share_of_variance"] == pytest.approx(1 - (left / total).item(), abs=1e-5)
    assert found["without"]["explained_variance"] == [
        each["explained_variance"] for each in clean.document["dictionaries"]
    ]
    levels = clean.document["measures"]["full"]["max_cosine"]["chance"]
    for level in ("data", "gauge"):
        drawn = found["without"]["chance"][level]["max_cosine"]
        assert drawn == pytest.approx(levels[level], abs=0.05)
    [line] = [line for line in report.summary if "times the median" in line]
    assert line.startswith("7 of 700 samples (1%) with a norm above 10 times the median hold")
    assert "--drop-outliers" in line


def test_dropping_them_gives_what_the_other_samples_give():
    x = with_large()
    dropped = compare(SAES, x, drop_outliers=True)
    clean = compare(SAES, x[x.norm(dim=1) < 100])
    assert outliers(dropped)["dropped"]
    for part in ("measures", "pairs", "reproducibility", "dictionaries", "firing"):
        assert dropped.document[part] == clean.document[part]
    assert any("left out of everything" in line for line in dropped.summary)


def test_without_outliers_nothing_is_said():
    report = compare(SAES, activations(700, 12))
    assert outliers(report)["count"] == 0
    assert outliers(report)["without"] is None
    assert not any("median" in line for line in report.summary)


def test_a_few_that_hold_little_are_counted_and_not_discussed():
    x = activations(20_000, 12)
    x[5] *= 11 * x.norm(dim=1).median() / x[5].norm()
    report = compare(SAES, x)
    assert outliers(report)["count"] == 1
    assert outliers(report)["share_of_variance"] < 0.1
    assert not any("median" in line for line in report.summary)
