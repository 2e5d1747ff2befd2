"""Declaring resources without the stack trace that Pulumi would keep of each."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def untraced() -> Iterator[None]:
    """Have the SDK send no stack trace with what is declared in this context.

    The SDK (3.256) sends all frames from Python's first to ours. The engine keeps them in the
    state, where they were three tenths of all there is, and writes that at every step. The SDK
    takes its frames from `traceback`, whose limit is set here; an error that leaves the context
    is shown in full.
    """
    sys.tracebacklimit = 1
    try:
        yield
    finally:
        del sys.tracebacklimit
