"""A web server on this machine for tests: files with byte ranges, and the faults that real servers have."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Path and query in, a JSON value or bytes out.
Page = Callable[[str, bytes], Any]


@dataclass
class Web:
    """What the server serves, what is wrong with it, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    # Statuses with which the next requests to a path are answered; the last one stays if `forever` names the path.
    statuses: dict[str, list[int]] = field(default_factory=dict)
    forever: dict[str, int] = field(default_factory=dict)
    # What a busy server says of when to come again, s.
    retry_after: str = ""
    # Bytes after which the connection breaks, one entry a request.
    breaks: dict[str, list[int]] = field(default_factory=dict)
    # Contents that take the place of the true ones, one entry a request.
    corrupt: dict[str, list[bytes]] = field(default_factory=dict)
    # Paths that are answered after this many seconds.
    slow: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    def requests_of(self, path: str) -> list[str]:
        """The `Range` of each request for a path, empty where there was none."""
        return [span for asked, span in self.asked if asked == path]


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(b"", body=False)

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, posted: bytes, body: bool = True) -> None:
            path = self.path.split("?")[0]
            span = self.headers.get("Range", "")
            if self.command != "HEAD":
                web.asked.append((path, span))
            time.sleep(web.slow.get(path, 0))
            queue = web.statuses.get(path, [])
            status = queue.pop(0) if queue else web.forever.get(path, 0)
            if status:
                headers = {"Retry-After": web.retry_after} if web.retry_after else {}
                return self._send(status, b"no", headers, body)
            if path in web.pages:
                result = web.pages[path](self.path, posted)
                return self._send(
                    200, json.dumps(result).encode(), {"Content-Type": "application/json"}, body
                )
            if path not in web.files:
                return self._send(404, b"none", {}, body)
            content = web.files[path]
            tag = f'"{hashlib.sha1(content).hexdigest()}"'
            if web.corrupt.get(path):
                content = web.corrupt[path].pop(0)
            headers = {"Accept-Ranges": "bytes", "ETag": tag}
            if self.headers.get("If-Range", tag) != tag:
                span = ""
            if not span:
                return self._send(200, content, headers, body)
            first, _, last = span.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else len(content), len(content))
            if start >= len(content):
                return self._send(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"}, body)
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            return self._send(206, content[start:stop], headers, body)

        def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
            path = self.path.split("?")[0]
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            cut = web.breaks[path].pop(0) if body and status in (200, 206) and web.breaks.get(path) else None
            if cut is not None:
                self.close_connection = True
            self.end_headers()
            if body:
                try:
                    self.wfile.write(content if cut is None else content[:cut])
                except OSError:
                    self.close_connection = True
                web.sent[path] = web.sent.get(path, 0) + len(content if cut is None else content[:cut])

    return Handler


@contextmanager
def serving() -> Iterator[Web]:
    """Serves while the block runs."""
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(web))
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
