"""Run a function as in a fresh process, whatever defaults of torch and NumPy its caller has set."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch

P = ParamSpec("P")
T = TypeVar("T")


def neutral(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function's results independent of global state of the caller's session."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with neutral_state():
            return function(*args, **kwargs)

    return run


@contextmanager
def neutral_state() -> Iterator[None]:
    """Defaults of torch and NumPy within this context; the caller's are restored afterwards.

    These are the default type and device, gradients, inference mode, autocast, and what NumPy does
    about floating-point errors. The number of threads stays as it is.
    """
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            # These two cost time at every operation, so only where there is something to undo.
            if torch.get_default_device().type != "cpu":
                stack.enter_context(torch.device("cpu"))
            if torch.is_autocast_enabled("cpu"):
                stack.enter_context(torch.autocast("cpu", enabled=False))
            stack.enter_context(np.errstate(all="warn", under="ignore"))
            yield
    finally:
        torch.set_default_dtype(dtype)
