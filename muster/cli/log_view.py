"""Agents' logs for people: the time, the state and one sentence a line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from rich.text import Text

from muster import agent_log
from muster.agent_log import Line
from muster.printable import printable

_STATE_WIDTH = len("delivering")
_COLOURS = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


@dataclass(frozen=True)
class Entry:
    """What is shown of a line.

    Attributes:
        text: the text.
        day: the local day of a line of the runtime's.
    """

    text: Text
    day: str | None = None


class LogView:
    """Turns lines of logs into what is shown, in their order.

    Cycles in which nothing changed are left out. Lines that the runtime did not write pass through.

    Args:
        agents: the agents; the lines of several begin with the agent's name.
        pattern: only texts in which it is found are shown.
    """

    def __init__(self, agents: Sequence[str] = (), pattern: re.Pattern[str] | None = None) -> None:
        self._width = max(map(len, agents)) if len(agents) > 1 else 0
        self._pattern = pattern
        self._day: str | None = None
        self._before: dict[str, object] = {}

    def shown(self, line: str, agent: str = "") -> Iterator[Text]:
        """Return what is shown of a line: nothing, the line, or the date and the line."""
        entry = self.entry(line, agent)
        if entry is not None:
            yield from self.dated(entry)

    def dated(self, entry: Entry) -> Iterator[Text]:
        """Return an entry's text, after the date if a day begins with it."""
        if entry.day is not None and entry.day != self._day:
            self._day = entry.day
            yield Text(entry.day, "dim")
        yield entry.text

    def entry(self, line: str, agent: str = "") -> Entry | None:
        """Return what is shown of a line; None for nothing."""
        read = agent_log.read(line)
        if read is None or read.state is None:
            return self._matching(agent, printable(line), "", None)
        before, self._before[agent] = self._before.get(agent), _situation(read)
        if read.event == "cycle" and before == self._before[agent]:
            return None
        local = read.time.astimezone()
        text = f"{local:%H:%M:%S} {read.state:{_STATE_WIDTH}} {read.message}".rstrip()
        style = "yellow" if read.event == "warning" else ""
        return self._matching(agent, text, style, f"{local:%Y-%m-%d}")

    def _matching(self, agent: str, text: str, style: str, day: str | None) -> Entry | None:
        if self._pattern is not None and not self._pattern.search(text):
            return None
        shown = Text(text, style)
        if self._width:
            colour = _COLOURS[crc32(agent.encode()) % len(_COLOURS)]
            shown = Text.assemble((f"{agent:{self._width}}  ", colour), shown)
        return Entry(shown, day)


def _situation(line: Line) -> object:
    """Return what has to change for a cycle to be worth a line."""
    return (line.state, line.waiting_for, line.task, line.pull, line.queue, sorted(line.errors))
