"""What every error for the person at the keyboard has in common."""


class MusterError(Exception):
    """Something that the user can mend; its text says what and how, and holds no secret."""
