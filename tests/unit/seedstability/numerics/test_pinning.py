"""What is pinned after torch is imported, and at what cost."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys, torch
from seedstability.numerics.pinning import fix_after_torch
fix_after_torch()
compiler = "torch._inductor" in sys.modules
print(json.dumps([torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), compiler]))
"""


def test_algorithms_are_deterministic_and_no_compiler_is_imported():
    """Importing it takes a second, in every stage and command."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [True, 1, False]
