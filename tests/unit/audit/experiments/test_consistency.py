"""The first report's own trace, which a figure draws beside ours."""

import pytest

from audit.experiments.consistency.experiment import reported_trace
from seedstability.errors import UserError


def test_reported_trace_has_one_figure_per_epoch():
    trace = reported_trace()
    assert trace.epoch == tuple(range(1, 11))
    assert (trace.max_cosine[0], trace.max_cosine[-1]) == (0.2838, 0.2864)
    assert len(trace.max_cosine) == len(trace.epoch)


@pytest.mark.parametrize("content", ["epoch = [1", "epoch = [1]", "epoch = 1\nmax_cosine = [0.2]"])
def test_damaged_trace_error_is_one_line_with_the_file(tmp_path, content):
    file = tmp_path / "trace.toml"
    file.write_text(content)
    with pytest.raises(UserError, match=r"data/reported/trace\.toml cannot be read"):
        reported_trace(file)
