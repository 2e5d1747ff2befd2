"""Access tokens that somebody made by hand: whether one works, whose it is, what it may do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from muster.credentials import TOKEN_SCOPES, limited_scopes, same_scopes
from muster.forge import (
    REQUIRED_SECOND_FACTOR,
    AccessToken,
    CannotMintError,
    ForbiddenError,
    Forge,
    ForgeError,
    SecondFactorError,
    Token,
    normalise_scopes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

UNKNOWN_ID = 0
"""Stands for the id of a token that the forge lists to nobody."""


@dataclass(frozen=True)
class GivenToken:
    """A token to be tested; nothing is changed.

    Attributes:
        url: the forge.
        user: the bot user that it has to belong to.
        secret: the token.
        repositories: each `owner/name` that the agent uses.
        minting: returns a client that lists the bot user's tokens.
    """

    url: str
    user: str
    secret: str = field(repr=False)
    repositories: Sequence[str]
    minting: Callable[[], Forge] = field(repr=False)

    def prove(self) -> AccessToken:
        """Return what the forge knows of the token.

        Raises:
            ForgeError: it does not work, is another account's, or may do too little or too much.
        """
        try:
            found = self._found()
            show(self.url, found, self.repositories)
        except ForgeError as error:
            message = f"{self._token} does not work: {error.message}"
            raise ForgeError(message, call=error.call, status=error.status) from None
        if wrong := self._wrong(found):
            raise ForgeError(f"{self._token} {wrong}")
        return found

    @property
    def _token(self) -> str:
        return f"the token that was given for {self.user}"

    def _found(self) -> AccessToken:
        """Find the token in the bot user's list.

        A token that is limited to repositories does not show its account: there the list does. A
        forge that takes no passwords, or not the password of an account with a second factor, lists
        tokens to a token that shows its account, or to nobody: then the token is taken as it is.

        Raises:
            ForgeError: the token does not work, or is not this bot user's.
        """
        bot = Forge(self.url, Token(self.secret))
        owner = bot.whoami_if_shown()
        if owner is not None and owner.login.lower() != self.user.lower():
            raise ForgeError(f"it is {owner.login}'s")
        listed: list[AccessToken] | None
        try:
            listed = self.minting().tokens(self.user)
        except (CannotMintError, SecondFactorError):
            listed = bot.own_tokens(self.user)
        if listed is None and owner is not None:
            return AccessToken(UNKNOWN_ID, "", None, self.secret[-8:], self.secret)
        found = next((each for each in listed or () if each.last_eight == self.secret[-8:]), None)
        if found is None:
            raise ForgeError(f"it is not listed as {self.user}'s")
        return replace(found, secret=self.secret)

    def _wrong(self, token: AccessToken) -> str | None:
        """Return what the token may do too little or too much; None if it is right."""
        wanted: Iterable[str] = TOKEN_SCOPES
        if token.repositories is not None:
            wanted = limited_scopes(wanted)
            if not same_repositories(token.repositories, self.repositories):
                return (
                    f"is limited to {', '.join(token.repositories)}: it has to be limited to "
                    f"{', '.join(self.repositories)}, no fewer and no more"
                )
        granted = granted_scopes(token, wanted)
        if same_scopes(granted, normalise_scopes(wanted)):
            return None
        return (
            f"has the scopes {', '.join(granted)}: it has to have {', '.join(wanted)}, no fewer "
            "and no more"
        )


def show(url: str, token: AccessToken, repositories: Iterable[str]) -> None:
    """Have a token show what it is for: its account, unless it is limited; repositories.

    A forge that requires a second factor refuses everything (Forgejo), or shows the account and
    hides the repositories (Gitea).

    Raises:
        ForgeError: it does not work, or does not see a repository.
    """
    bot = Forge(url, Token(str(token.secret)))
    try:
        if token.repositories is None:
            bot.whoami()
        unseen = [each for each in repositories if bot.repository(each) is None]
    except ForbiddenError as error:
        if error.requires_second_factor:
            raise ForgeError(REQUIRED_SECOND_FACTOR, call=error.call, status=error.status) from None
        raise
    if unseen:
        message = f"it does not see {unseen[0]}"
        if token.repositories is None:
            message += f". Perhaps {REQUIRED_SECOND_FACTOR}"
        raise ForgeError(message, call=f"GET /repos/{unseen[0]}", status=HTTPStatus.NOT_FOUND)


def granted_scopes(token: AccessToken, otherwise: Iterable[str]) -> list[str]:
    """Return a token's scopes; `otherwise` if the forge does not report them."""
    return sorted(otherwise if token.scopes is None else token.scopes)


def same_repositories(some: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether two lists name the same repositories; a forge ignores case."""
    return {each.lower() for each in some} == {each.lower() for each in others}
