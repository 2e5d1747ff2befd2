"""An agent's log for people: the time, the state and one sentence a line."""

from collections.abc import Iterator

from rich.text import Text

from muster import agent_log
from muster.agent_log import Line
from muster.printable import printable

_STATE_WIDTH = len("delivering")


class LogView:
    """Turns a log's lines into what is shown, in their order.

    Cycles in which nothing changed are left out. Lines that the runtime did not write pass through.
    """

    def __init__(self) -> None:
        self._day = ""
        self._before: object = None

    def shown(self, line: str) -> Iterator[Text]:
        """Return what is shown of a line: nothing, the line, or the date and the line."""
        read = agent_log.read(line)
        if read is None or read.state is None:
            yield Text(printable(line))
            return
        before, self._before = self._before, _situation(read)
        if read.event == "cycle" and before == self._before:
            return
        local = read.time.astimezone()
        if self._day != (day := f"{local:%Y-%m-%d}"):
            self._day = day
            yield Text(day, "dim")
        shown = f"{local:%H:%M:%S} {read.state:{_STATE_WIDTH}} {read.message}"
        yield Text(shown.rstrip(), "yellow" if read.event == "warning" else "")


def _situation(line: Line) -> object:
    """Return what has to change for a cycle to be worth a line."""
    return (line.state, line.waiting_for, line.task, line.pull, line.queue, sorted(line.errors))
