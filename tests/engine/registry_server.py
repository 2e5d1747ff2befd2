"""A registry with one small image, for a Docker engine on this machine."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@contextmanager
def registry() -> Iterator[tuple[str, list[str]]]:
    """Serve an image; yield its name, and the paths that were asked for."""
    asked: list[str] = []
    documents = _image()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            name = self.path.rpartition("/")[2]
            found = documents.get(name, b"{}" if self.path == "/v2/" else None)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", MANIFEST if "/manifests/" in self.path else "*/*")
            self.send_header("Docker-Content-Digest", _digest(found or b""))
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(found or b"")

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}/team/agent:1", asked
    finally:
        server.shutdown()
        server.server_close()


def _image() -> dict[str, bytes]:
    """Return the image's documents: the manifest by its tag and digest, the others by digest."""
    layer = io.BytesIO()
    tarfile.open(fileobj=layer, mode="w").close()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/agent"], "User": "1000"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
        }
    ).encode()
    parts = {
        "config": ("application/vnd.docker.container.image.v1+json", config),
        "layer": ("application/vnd.docker.image.rootfs.diff.tar", layer.getvalue()),
    }
    listed = {
        kind: {"mediaType": media, "size": len(content), "digest": _digest(content)}
        for kind, (media, content) in parts.items()
    }
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": listed["config"],
            "layers": [listed["layer"]],
        }
    ).encode()
    blobs = {_digest(content): content for _, content in parts.values()}
    return {"1": manifest, _digest(manifest): manifest, **blobs}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
