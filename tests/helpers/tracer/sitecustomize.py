"""Python imports this at its start where the folder is on its path: notes what each stage calls.

Whenever a worker's child has run a stage, a file in the folder that TRACED_CALLS names gets the
stage, and every function and module of our packages whose code ran in that process. Bodies of
classes don't count: loading a module runs those of all its classes, used or not.
"""

import inspect
import json
import os
import sys
import threading
from pathlib import Path

FOLDER = os.environ.get("TRACED_CALLS", "")
CODE = str(Path(__file__).resolve().parents[3] / "code") + os.sep
ran = {}


def before(frame, event, arg):
    """Wait for a stage's function: what prepares a stage is none of its code."""
    if frame.f_code.co_name == "_call" and "job" in frame.f_locals:
        sys.settrace(called)
        threading.settrace(called)
        return finished
    return None


def called(frame, event, arg):
    """Note a call. Asking for no events within the frame, and hashing no code, keeps this cheap."""
    code = frame.f_code
    ran[id(code)] = code


def is_class_body(code):
    """Tell a class's body from a function and from a module."""
    return code.co_name != "<module>" and not code.co_flags & inspect.CO_OPTIMIZED


def finished(frame, event, arg):
    """Write down what ran, when a stage's function has returned."""
    if event == "return":
        ours = {
            f"{code.co_filename.removeprefix(CODE)}:{code.co_qualname.partition('.')[0]}"
            for code in ran.values()
            if code.co_filename.startswith(CODE) and not is_class_body(code)
        }
        stage = frame.f_locals["job"].stage
        file = Path(FOLDER) / f"{os.getpid()}.json"
        file.write_text(json.dumps({"stage": stage, "ran": sorted(ours)}))
    return finished


if FOLDER:
    sys.settrace(before)
    threading.settrace(before)
