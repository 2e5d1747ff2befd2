"""Sessions for a task: the endpoint's turn, the gateway, the budget, waiting and going on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime import endpoint, prompt, session
from runtime.endpoint_queue import CancelledError, EndpointQueue
from runtime.gateway import Gateway, Upstream
from runtime.services import MINUTE, Services, StoppedError
from runtime.session import Order, Outcome, Transcript
from runtime.settings import CredentialError, Settings
from runtime.tree import Tree

ANTHROPIC = "https://api.anthropic.com"
LONGEST_PAUSE = 60.0
PROBE_SECONDS = 10.0
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
    turns: int = 0
    used_tokens: int = 0
    used_seconds: float = 0.0

    @classmethod
    def of(cls, services: Services) -> "Budget":
        """Return a new task's budget."""
        work = services.settings.work
        return cls(seconds=work.minutes * MINUTE, tokens=work.tokens)

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
        interrupted: Why to end a session early, None to go on; called about every second.
        session: The last session, None before the first.
        state: What the agent is doing in it: `working` or `reviewing`.
    """

    services: Services
    tree: Tree
    budget: Budget
    interrupted: Callable[[], str | None]
    session: str | None = None
    state: str = "working"
    _system: Path | None = field(default=None, repr=False)

    def say(self, text: str, message: str) -> Outcome:
        """Have a session, until the model is done or something ends it.

        A session that the endpoint interrupts is continued when the endpoint is back.

        Args:
            text: What the model is to do.
            message: What the agent's log says of it.

        Raises:
            StoppedError: The container is being stopped.
        """
        waited = 0.0
        pause = 2.0
        while True:
            outcome = self._one(text, message)
            if outcome.kind != "endpoint" or waited > PATIENCE:
                return outcome
            self._wait("endpoint", f"The endpoint failed: {outcome.message}. Trying again.", pause)
            waited += pause
            pause = min(2 * pause, LONGEST_PAUSE)
            if outcome.turns > 1:
                text = GO_ON

    def _one(self, text: str, message: str) -> Outcome:
        services = self.services
        settings = services.settings
        try:
            ready = probe(services)
        except (EndpointNotReadyError, CredentialError) as error:
            return Outcome("endpoint", "", str(error), self.session or "", 0, 0, 0.0)
        with self._turn(ready.slots), self._gateway() as gateway:
            services.reporter.enter(self.state, message)
            order = Order(
                prompt=text,
                system=self._system_file(),
                model=settings.model,
                resume=self.session,
                turns=settings.work.turns,
                seconds=self.budget.seconds_left,
                variables=_limits(settings, ready.window),
            )
            transcript = Transcript(services.data / "sessions", services.reporter.redacted)
            outcome = session.run(order, self.tree, gateway, transcript, self._interruption)
        self.budget.spend(outcome)
        services.reporter.spend(tokens=outcome.tokens, minutes=outcome.seconds / MINUTE)
        if outcome.turns or outcome.tokens:
            self.session = outcome.session
            self.tree.note(session=outcome.session)
        if outcome.kind == "stopped":
            raise StoppedError
        return outcome

    def _gateway(self) -> Gateway:
        settings = self.services.settings
        upstream = Upstream(
            url=settings.endpoint_url or ANTHROPIC,
            key=settings.api_key.read,
            anthropic=settings.endpoint_url is None,
        )
        return Gateway(upstream, tokens=self.budget.tokens_left)

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

        try:
            with queue.turn(waiting, lambda: self._interruption() is not None):
                yield
        except CancelledError:
            raise StoppedError from None

    def _wait(self, what: str, message: str, seconds: float) -> None:
        self.services.reporter.enter("waiting", message, waiting_for=what)
        step = 1.0
        while seconds > 0:
            self.services.pause(min(step, seconds))
            seconds -= step
            if self.interrupted() is not None:
                return

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


def probe(services: Services) -> endpoint.Endpoint:
    """Ask the endpoint whether it can serve a session, without inference.

    Returns:
        The endpoint; its window is the one of the roster, if the roster has one.

    Raises:
        EndpointNotReadyError: It does not answer, refuses the key, or its window is too small.
        CredentialError: The key cannot be read.
    """
    settings = services.settings
    found = endpoint.probe(
        settings.endpoint_url, settings.api_key.read(), settings.model, timeout=PROBE_SECONDS
    )
    services.reporter.state.endpoint = (
        {"status": found.status, "ms": found.ms} if settings.endpoint_url else "anthropic"
    )
    if found.error is not None:
        raise EndpointNotReadyError(found.error, "endpoint")
    window = settings.work.context_window or found.window
    if window is None:
        raise EndpointNotReadyError(NO_WINDOW, "window")
    if small := endpoint.too_small(window):
        raise EndpointNotReadyError(small, "window")
    return replace(found, window=window)


def _limits(settings: Settings, window: int | None) -> dict[str, str]:
    """Return the variables that make Claude Code compact where the roster says."""
    if settings.endpoint_url is None or window is None:
        return {}  # Claude Code knows the windows of Anthropic's models
    return endpoint.claude_limits(window, settings.compact_pct)
