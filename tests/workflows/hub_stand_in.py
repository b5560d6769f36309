"""A stand-in for the Hugging Face hub: takes what is pushed, on a port of this machine."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What came in. `refuses`: every request is answered with "forbidden"."""

    url: str = ""
    refuses: bool = False
    tokens: set[str] = field(default_factory=set)
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def visibilities(self) -> list[str]:
        """Of each repository that was asked for; the client says it in one of two ways."""
        by_flag = {True: "private", False: "public", None: "not said"}
        return [row.get("visibility", by_flag[row.get("private")]) for row in self.created]


@contextmanager
def running() -> Iterator[Hub]:
    """A hub, for as long as the block runs."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"sha": "0" * 40, "siblings": [], "id": "me/mine"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            hub.tokens.add(self.headers.get("Authorization", ""))
            if hub.refuses:
                self._answer({"error": "You may not write here"}, status=403)
            elif self.path == "/api/repos/create":
                hub.created.append(json.loads(body))
                self._answer({"url": f"{hub.url}/me/mine", "name": "me/mine"})
            elif "/preupload/" in self.path:
                asked = json.loads(body)["files"]
                plain = {"uploadMode": "regular", "shouldIgnore": False}
                self._answer({"files": [{"path": file["path"], **plain} for file in asked]})
            elif "/commit/" in self.path:
                for line in body.splitlines():
                    row = json.loads(line)
                    if row["key"] == "header":
                        hub.messages.append(row["value"]["summary"])
                    else:
                        value = row["value"]
                        hub.files[value["path"]] = base64.b64decode(value["content"])
                self._answer({"commitUrl": f"{hub.url}/me/mine/commit/0", "commitOid": "0" * 40})
            else:
                self._answer({"errors": [], "warnings": []})  # what the README's facts are asked

        def _answer(self, row: object, *, status: int = 200) -> None:
            content = json.dumps(row).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
