"""What can go wrong between Muster and the forge."""

from muster.errors import MusterError


class ForgeError(MusterError):
    """The forge refused a call, or could not be asked.

    Its text is for the person at the keyboard and holds no secret.

    Attributes:
        message: The forge's own words, or what kept it from answering.
        call: The failed call, as ``GET /user``, below ``/api/v1`` and without its query; None if
            no call was made.
        status: HTTP status of the answer; None if there was none.
        transient: Whether the same call may succeed a little later.
        retry_after: Seconds that the forge asks to wait before a repetition.
    """

    def __init__(  # noqa: PLR0913 - one argument a fact
        self,
        message: str,
        *,
        call: str | None = None,
        status: int | None = None,
        advice: str = "",
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.message = message
        self.call = call
        self.status = status
        self.transient = transient
        self.retry_after = retry_after
        said = message if status is None else f"{status} {message}"
        text = f"{call}: {said}" if call else said
        super().__init__(f"{text} ({advice})" if advice else text)


class ForgeUnreachableError(ForgeError):
    """No answer: the address, the network, TLS or a timeout."""


class UnauthorizedError(ForgeError):
    """401: the forge does not take these credentials."""


class SecondFactorError(UnauthorizedError):
    """401: the password alone is not enough, for the account has a second factor."""


class ForbiddenError(ForgeError):
    """403: these credentials lack the right, or the account may not log in."""

    @property
    def lacks_scope(self) -> bool:
        """Whether a token works, and only lacks the scope that the call needs."""
        return "required scope" in self.message

    @property
    def requires_second_factor(self) -> bool:
        """Whether the forge requires a second factor that the account does not have.

        Forgejo from 13.0 on, with `GLOBAL_TWO_FACTOR_REQUIREMENT`.
        """
        return "two-factor" in self.message.lower()


class NotFoundError(ForgeError):
    """404: there is no such thing, or these credentials may not see it."""
