"""Sessions for a task: the endpoint's turn, the gateway, the budget, waiting and going on."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from muster.endpoint import ANTHROPIC, Endpoint, too_small
from muster.endpoint import probe as probe_endpoint
from runtime import prompt, session
from runtime.endpoint_queue import CancelledError, EndpointQueue
from runtime.gateway import Gateway, Upstream
from runtime.services import MINUTE, Services, StoppedError
from runtime.session import Order, Outcome, Transcript
from runtime.settings import CredentialError, Settings
from runtime.tree import Tree
from runtime.window import ANTHROPIC_WINDOW, claude_limits

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
LONG_WAIT = 20.0
"""Seconds of waiting for an endpoint after which the issue says so."""

PATIENCE = 60 * MINUTE
"""How long a task waits for its endpoint before it is given back."""

INSTRUCTIONS = ("CLAUDE.md", "AGENTS.md")

NO_WINDOW = (
    "the endpoint does not report the size of its context window: set context_window in the "
    "agent's section of the roster, e.g. context_window = 65536"
)

GO_ON = "The connection to the model was interrupted. Continue where you stopped."


@dataclass
class Budget:
    """What a task may still use."""

    seconds: float
    tokens: int
    most_turns: int
    turns: int = 0
    used_tokens: int = 0
    used_seconds: float = 0.0

    @classmethod
    def of(cls, services: Services) -> "Budget":
        """Return a new task's budget."""
        work = services.settings.work
        return cls(work.minutes * MINUTE, work.tokens, work.turns)

    def spend(self, outcome: Outcome) -> None:
        """Take a session's use off."""
        self.turns += outcome.turns
        self.used_tokens += outcome.tokens
        self.used_seconds += outcome.seconds

    @property
    def seconds_left(self) -> float:
        """Seconds that sessions may still take."""
        return max(0.0, self.seconds - self.used_seconds)

    @property
    def turns_left(self) -> int:
        """Turns that sessions may still take; Claude Code counts the one that it refuses too."""
        return max(0, self.most_turns - self.turns)

    @property
    def tokens_left(self) -> int:
        """Tokens that sessions may still use."""
        return max(0, self.tokens - self.used_tokens)


@dataclass
class Conversation:
    """A task's sessions: each one continues the one before.

    Attributes:
        services: The agent's tools.
        tree: The task's tree.
        budget: What the task may still use.
        interrupted: Why to end a session early, None to go on; called about every second, so it
            must not wait for anything.
        session: The last session, None before the first.
        waits: Called with what the task waits for if that takes long, and with None afterwards.
        state: What the agent is doing in it: `working` or `reviewing`.
    """

    services: Services
    tree: Tree
    budget: Budget
    interrupted: Callable[[], str | None]
    session: str | None = None
    state: str = "working"
    waits: Callable[[str | None], None] = lambda _: None
    _system: Path | None = field(default=None, repr=False)
    _waits_for: str | None = None

    def say(self, text: str, message: str) -> Outcome:
        """Have a session, until the model is done or something ends it.

        A session that the endpoint interrupts is continued when the endpoint is back.

        Args:
            text: What the model is to do.
            message: What the agent's log says of it.

        Raises:
            StoppedError: The container is being stopped.
        """
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            outcome = self._one(text, message)
            if outcome.kind != "endpoint" or waited > PATIENCE:
                return outcome
            if outcome.tokens:  # it worked for a while
                waited, pause = 0.0, FIRST_PAUSE
            if waited > LONG_WAIT:
                self._wait_long(f"the endpoint: {outcome.message}")
            text = GO_ON if self.is_kept else text
            self.services.reporter.enter(
                "waiting",
                f"The endpoint failed: {outcome.message}. Trying again.",
                waiting_for="endpoint",
            )
            if reason := self._pause(pause):
                return self._ended("cancelled", reason)
            waited += pause
            pause = min(2 * pause, LONGEST_PAUSE)

    def _one(self, text: str, message: str) -> Outcome:
        services = self.services
        if not self.budget.turns_left:
            return self._ended("turns", "the turns are used up")
        try:
            ready = probe(services)
        except (EndpointNotReadyError, CredentialError) as error:
            return self._ended("endpoint", str(error))
        try:
            with self._turn(ready.slots):
                outcome = self._run(text, message, ready.window)
        except CancelledError:
            outcome = self._ended("cancelled", self._interruption() or "")
        if services.stopped.is_set():
            raise StoppedError
        return outcome

    def _run(self, text: str, message: str, window: int | None) -> Outcome:
        services = self.services
        settings = services.settings
        resume = self.is_kept
        session_id = self.session if self.session and resume else str(uuid.uuid4())
        # Noted first: a killed container's session is continued by the next one.
        self.session = session_id
        self.tree.note(session=session_id)
        with self._gateway() as gateway:
            services.reporter.enter(self.state, message)
            self._end_long_wait()
            order = Order(
                prompt=text,
                system=self._system_file(),
                model=settings.model,
                session=session_id,
                resume=resume,
                turns=self.budget.turns_left,
                seconds=self.budget.seconds_left,
                variables=_limits(settings, window),
            )
            transcript = Transcript(services.data / "sessions", services.reporter.redacted)
            outcome = session.run(order, self.tree, gateway, transcript, self._interruption)
        self.budget.spend(outcome)
        services.reporter.spend(tokens=outcome.tokens, minutes=outcome.seconds / MINUTE)
        return outcome

    def _ended(self, kind: str, message: str) -> Outcome:
        return Outcome(kind, "", message, self.session or "", 0, 0, 0.0)

    @property
    def is_kept(self) -> bool:
        """Whether the last session can be continued, its prompt included."""
        return self.session is not None and session.is_kept(self.tree, self.session)

    def _gateway(self) -> Gateway:
        settings = self.services.settings
        upstream = Upstream(
            url=settings.endpoint_url or ANTHROPIC,
            key=settings.api_key.read,
            anthropic=settings.endpoint_url is None,
        )
        return Gateway(upstream, tokens=self.budget.tokens_left, socket=self.tree.socket)

    def _interruption(self) -> str | None:
        return "stopped" if self.services.stopped.is_set() else self.interrupted()

    @contextmanager
    def _turn(self, slots: int | None) -> Iterator[None]:
        """Hold one of the endpoint's slots; the Anthropic API has no queue."""
        services = self.services
        settings = services.settings
        if settings.endpoint_url is None:
            yield
            return
        number = min(settings.work.slots, slots or settings.work.slots)
        queue = EndpointQueue(services.endpoints, settings.endpoint_url, number, settings.agent)

        def waiting(position: int, length: int) -> None:
            services.reporter.enter(
                "waiting",
                f"Waiting for a turn at {settings.endpoint_url}: {position} of {length}.",
                waiting_for="queue",
                queue={"position": position, "length": length},
            )
            self._wait_long(f"a turn at {settings.endpoint_url}")

        with queue.turn(waiting, lambda: self._interruption() is not None):
            yield

    def _wait_long(self, what: str) -> None:
        if self._waits_for is None:
            self._waits_for = what
            self.waits(what)

    def _end_long_wait(self) -> None:
        if self._waits_for is not None:
            self._waits_for = None
            self.waits(None)

    def _pause(self, seconds: float) -> str | None:
        """Wait; return why the task must end, None if it need not."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.services.pause(min(0.5, left))
            if (reason := self.interrupted()) is not None:
                return reason
        return None

    def _system_file(self) -> Path:
        if self._system is None:
            mirror, services = self.services.mirror, self.services
            found = ((name, mirror.show(services.primary, name)) for name in INSTRUCTIONS)
            texts = [(name, text) for name, text in found if text]
            self._system = self.tree.system
            settings = services.settings
            self._system.write_text(prompt.system(settings.agent, settings.repo, texts), "utf-8")
        return self._system


class EndpointNotReadyError(Exception):
    """The endpoint cannot serve a session now; the message says why and what to do."""

    def __init__(self, message: str, waiting_for: str) -> None:
        self.waiting_for = waiting_for
        super().__init__(message)


def probe(services: Services) -> Endpoint:
    """Ask the endpoint whether it can serve a session, without inference.

    Returns:
        The endpoint; its window is the one of the roster, if the roster has one.

    Raises:
        EndpointNotReadyError: It does not answer, refuses the key, or its window is too small.
        CredentialError: The key cannot be read.
    """
    settings = services.settings
    key = settings.api_key.read()
    found = probe_endpoint(settings.endpoint_url, key, settings.model)
    window = settings.work.context_window or found.window
    if settings.endpoint_url is None:  # it lists models without their windows
        window = ANTHROPIC_WINDOW
    services.reporter.state.endpoint = {
        "status": found.status,
        "ms": found.ms,
        "server": found.server,
        "serves_model": found.serves_model,
        "window": window,
        "slots": found.slots,
    }
    if found.error is not None:
        raise EndpointNotReadyError(found.error, "endpoint")
    if window is None:
        raise EndpointNotReadyError(NO_WINDOW, "window")
    if small := too_small(window):
        raise EndpointNotReadyError(small, "window")
    return replace(found, window=window)


def _limits(settings: Settings, window: int | None) -> dict[str, str]:
    """Return the variables that make Claude Code compact where the roster says."""
    if settings.endpoint_url is None or window is None:
        return {}  # Claude Code knows the windows of Anthropic's models
    return claude_limits(window, settings.compact_pct)
