"""Asks the running agent to take an issue now: `python3 -m runtime.request ISSUE`."""

import json
import sys
from pathlib import Path

from runtime import state

FILE = "request.json"


def write(folder: Path, issue: int) -> None:
    """Leave a request for the agent's loop, in place of an earlier one."""
    draft = folder / f"{FILE}.tmp"
    draft.write_text(json.dumps({"issue": issue}), "utf-8")
    draft.replace(folder / FILE)


def waits(folder: Path) -> bool:
    """Whether there is a request."""
    return (folder / FILE).exists()


def take(folder: Path) -> int | None:
    """Return the requested issue and forget the request; None if there is none."""
    try:
        number = json.loads((folder / FILE).read_text("utf-8"))["issue"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        number = None
    (folder / FILE).unlink(missing_ok=True)
    return number if isinstance(number, int) else None


def main() -> int:
    """Leave the request that the command line names, and say what happens next."""
    text = sys.argv[1].removeprefix("#") if len(sys.argv) == 2 else ""  # noqa: PLR2004
    if not (text.isascii() and text.isdigit()):
        print("usage: python3 -m runtime.request ISSUE, e.g. 12", file=sys.stderr)
        return 1
    try:
        record = state.read(state.DATA)
        write(state.DATA, int(text))
    except OSError as error:
        print(f"the agent has not started yet: {error.strerror}", file=sys.stderr)
        return 1
    task = record["task"]
    when = f"after {task['kind']} #{task['number']}" if task else "now"
    print(f"{record['agent']} takes #{text} {when}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
