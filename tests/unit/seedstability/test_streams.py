import os
import subprocess
import sys

import pytest

from helpers.repository import CODE

PRINT = (
    "from seedstability.streams import make_output_robust; make_output_robust();"
    "print({text!r} * {times}, flush=True); print('on', file=sys.stderr); sys.exit(3)"
)


def run(
    text: str, times: int, stdout, stderr=subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess:
    code = "import sys;" + PRINT.format(text=text, times=times)
    return subprocess.run(
        [sys.executable, "-c", code],
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": str(CODE), **environment},
    )


@pytest.mark.parametrize("times", [1, 1_000_000])
def test_work_goes_on_and_has_its_own_status_when_the_reader_has_left(times):
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    ran = run("text", times, reader.stdin)
    assert (ran.returncode, ran.stderr) == (3, b"on\n")


def test_standard_error_may_have_no_reader_either():
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    ran = run("text", 1, subprocess.PIPE, reader.stdin)
    assert (ran.returncode, ran.stdout) == (3, b"text\n")


def test_what_the_encoding_lacks_is_a_question_mark():
    ran = run("κ is 1", 1, subprocess.PIPE, PYTHONIOENCODING="latin-1")
    assert (ran.returncode, ran.stdout) == (3, b"? is 1\n")
