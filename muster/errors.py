"""What every error for the person at the keyboard has in common."""

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells report it: 128 + SIGINT."""


class MusterError(Exception):
    """Something that the user can fix; its text says what and how, and holds no secret.

    Attributes:
        exit_code: what a command that fails with it returns.
    """

    exit_code = 1
