"""What the dynamic providers share: access to the forge, and an end when the engine ends.

The providers are stateless classes at module level, so that a stack's state holds a reference to
them and no code. **Their module paths and names are a contract**: they stand in users' states.
"""

import functools
import logging
import os
import select
import sys
import threading
from pathlib import Path
from typing import Any

from pulumi.dynamic import ConfigureRequest, DiffResult, ResourceProvider, UpdateResult
from pulumi.runtime import rpc

from muster import administrator, private_ca
from muster.accounts import is_mark
from muster.forge import Administrator, Basic, Forge, User, minting_auth

Props = dict[str, Any]


class Provider(ResourceProvider):
    """A provider whose serialized form is a reference, and which ends with the engine.

    `replace_on` names the inputs whose change replaces the resource, `update_on` those whose
    change updates it in place. Inputs named by neither are carried along.
    """

    serialize_as_secret_always = False
    replace_on: tuple[str, ...] = ()
    update_on: tuple[str, ...] = ()
    delete_before_replace = False

    def configure(self, req: ConfigureRequest) -> None:
        """Called by the engine's plugin host once per process and provider class."""
        # The host logs a traceback for every failed call, on top of the engine's own error.
        logging.getLogger("grpc").setLevel(logging.CRITICAL)
        _end_with_the_engine()
        self._config = req.config

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Compare the named inputs, and whatever `drift` finds in the recorded outputs."""
        replaces = [key for key in self.replace_on if differs(olds.get(key), news.get(key))]
        replaces += self.outdated(olds, news)
        updates = [key for key in self.update_on if differs(olds.get(key), news.get(key))]
        return DiffResult(
            changes=bool(replaces or updates or self.drift(olds)),
            replaces=replaces,
            delete_before_replace=self.delete_before_replace,
        )

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Record the inputs; resources that change something override it."""
        return UpdateResult({**olds, **news})

    def drift(self, _olds: Props) -> bool:
        """Tell whether a refresh recorded that somebody changed the resource by hand."""
        return False

    def outdated(self, _olds: Props, _news: Props) -> list[str]:
        """Name the inputs by which what is recorded cannot be kept any longer."""
        return []


_moved: dict[str, str] = {}
"""Where this run has found forges: by the address that the state names, the one of today."""


class ForgeProvider(Provider):
    """A provider of a resource at a forge, whose URL is the input `forge`.

    A forge may get another address. `BotUser`, on which all else hangs, makes sure that it is the
    same forge; the others then have nothing to do but to record it. What is deleted in the same
    update is known by the old address only, so each call goes through `address`.
    """

    def address(self, props: Props) -> str:
        """Return where the resource's forge is, as far as this run knows; trust its CA there."""
        recorded: str = props["forge"]
        found = _moved.get(recorded, recorded)
        _trust(found, props)
        return found

    def has_moved(self, props: Props, url: str) -> None:
        """Remember that the resource's forge is to be found at another address."""
        _moved[props["forge"]] = url

    def administrator(self) -> Administrator:
        """Return the administrator's credentials, of the environment or else of the stack.

        Raises:
            AdministratorMissingError: where neither holds any.
        """
        return administrator.find(os.environ, self._config.get)

    def forge(self, props: Props) -> Forge:
        """Return a client that speaks to the forge as its administrator."""
        return _client(self.address(props), self.administrator())

    def minting_forge(self, props: Props) -> Forge:
        """Return a client that may list, mint and revoke the bot user's tokens."""
        url, bot = self.address(props), Basic(props["user"], props["password"])
        return Forge(url, minting_auth(url, self.administrator(), bot))

    def account(self, props: Props) -> User | None:
        """Return the bot user's account; None where it is gone, or by now somebody else's.

        The name may have been given away after a purge by hand: the mark tells. Scripts overwrite
        marks: then id and birth tell, where they are recorded.
        """
        user = self.forge(props).user(props["user"])
        if user is None or user.login_name == props["mark"]:
            return user
        born = (props.get("user_id"), props.get("created_at"))
        return user if born == (user.id, user.created_at) and not is_mark(user.login_name) else None


def _trust(url: str, props: Props) -> None:
    file = props.get("forge_ca")
    private_ca.trust_for_forge(url, None if file is None else Path(file))


@functools.cache
def _client(url: str, who: Administrator) -> Forge:
    return Forge(url, who.api)


def differs(old: object, new: object) -> bool:
    """Tell whether an input changes; one that a preview does not know yet may, so it does."""
    return new == rpc.UNKNOWN or old != new


@functools.cache
def _end_with_the_engine() -> None:
    """End this process when the engine is gone, and with it any call that is under way.

    An engine that is killed leaves its plugins running, and what they finish later stands in
    nobody's state. The plugin's standard output is a pipe that the engine reads: its reading end
    closes when the engine ends, however it ends.
    """
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always reported

    def wait() -> None:
        watch.poll()
        os._exit(1)

    threading.Thread(target=wait, name="end-with-the-engine", daemon=True).start()
