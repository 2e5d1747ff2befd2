"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Take signals as a terminal's programs do, however the tests were started.

    A shell without job control starts a program in the background with SIGINT ignored, and all that
    the program starts inherits that: a test's Ctrl-C would have no effect.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
