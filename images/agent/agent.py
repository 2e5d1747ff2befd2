"""The agent's loop: one cycle, one JSON line on standard output, then a pause of `POLL_INTERVAL`.

Exit codes: 0 after SIGTERM or SIGINT, 2 where the container is set up wrongly (one line on
standard error says how), 1 for a fault of the loop itself.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time

import cycle
import settings
import state


def run(config: settings.Settings) -> None:
    """Go through cycles for ever."""
    for number in itertools.count(1):
        record = cycle.run(config, number)
        state.write(record)
        print(json.dumps(record), flush=True)
        time.sleep(config.poll_interval)


def main() -> int:
    """Run the loop until a signal ends the process; returns only where something is wrong."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    try:
        config = settings.load(os.environ)
        state.clear()
    except settings.SettingsError as error:
        return _wrong(str(error))
    except OSError as error:
        return _wrong(f"cannot write {state.FILE.parent}: {error.strerror}")
    # Beside the main thread, which a slow name server then cannot keep from hearing a signal.
    loop = threading.Thread(target=run, args=(config,), daemon=True)
    loop.start()
    loop.join()
    return 1


def _wrong(message: str) -> int:
    print(f"muster agent: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
