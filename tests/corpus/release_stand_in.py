"""A stand-in for the Hugging Face hub: one dataset repository, served on a port of this machine."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPOSITORY = "Umean/B2NERD"
COMMIT = "c" * 40
OLD = "d" * 40


@dataclass
class Hub:
    """What it holds, and what it was asked for.

    `cut`: the next answers end after so many bytes. `lies`: the hashes that it tells are wrong.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    lies: bool = False
    gone: bool = False
    ranges: list[str] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)


def release(contents: Mapping[str, object]) -> bytes:
    """A zip of JSON files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, value in contents.items():
            file.writestr(name, json.dumps(value, ensure_ascii=False))
    return made.getvalue()


@contextmanager
def running() -> Iterator[Hub]:
    """A hub, for as long as the block runs."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if hub.gone:
                self._send(b'{"error": "Repository not found"}', status=404)
            elif path.startswith(f"/api/datasets/{REPOSITORY}"):
                revision = path.partition("/revision/")[2]
                hub.revisions.append(revision)
                self._send(json.dumps(_described(hub, revision)).encode())
            elif path.startswith(f"/datasets/{REPOSITORY}/resolve/"):
                self._send_file(hub.files[path.split("/", 6)[6]])
            else:
                self._send(b"{}", status=404)

        def _send_file(self, content: bytes) -> None:
            asked = self.headers.get("Range", "")
            hub.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            body = content[start:]
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(body)))
            if asked:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            if hub.cut:
                self.wfile.write(body[: hub.cut.pop(0)])
                self.close_connection = True
            else:
                self.wfile.write(body)

        def _send(self, content: bytes, *, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _described(hub: Hub, revision: str) -> dict[str, object]:
    """What the hub says of the repository."""
    siblings = []
    for name, content in hub.files.items():
        digest = "0" * 64 if hub.lies else hashlib.sha256(content).hexdigest()
        lfs = {"sha256": digest, "size": len(content), "pointerSize": 100}
        siblings.append({"rfilename": name, "size": len(content), "blobId": "b", "lfs": lfs})
    return {"id": REPOSITORY, "sha": OLD if revision == OLD else COMMIT, "siblings": siblings}
