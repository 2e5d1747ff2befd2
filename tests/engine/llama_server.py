"""llama.cpp's own server, from PyPI's `xllamacpp`, in a process that a test may end at any time."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def llama_server(model: Path, log: Path) -> Iterator[str]:
    """Serve a model; yields the base URL."""
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, __file__, model], stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        assert process.stdout is not None
        bound = threading.Timer(20, process.kill)
        bound.start()
        url = process.stdout.readline().strip()
        bound.cancel()
        try:
            assert url, f"the server did not start: {log.read_text()[-2000:]}"
            yield url
        finally:
            process.kill()


def _serve(model: str) -> None:
    from xllamacpp import CommonParams, Server  # type: ignore[import-untyped] # noqa: PLC0415

    parameters = CommonParams()
    parameters.model.path = model
    parameters.n_ctx = 32768
    parameters.warmup = False
    server = Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201 - read by `llama_server`
    threading.Event().wait()


if __name__ == "__main__":
    _serve(sys.argv[1])
