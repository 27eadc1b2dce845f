"""The page on this machine: a server for its own browser only.

It listens on loopback, and answers under an address that nobody can guess; Host and Origin must be
its own, so that no other site's page can ask it. What is typed is judged in another process; only
the second tab's code is executed, in a process that ends with it.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import sys
import threading
import urllib.parse
import webbrowser
import zlib
from base64 import urlsafe_b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tinygrad_edu.classroom.processes import Ended, Worker
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.workbench.files import POLICY, TYPES, page_files

#: Of a request, in bytes; a sheet has at most 200,000 characters.
MOST_BYTES = 900_000
#: How many may wait at a time; how long a text, or a code, may take.
MOST_WAITING, SECONDS, SECONDS_OF_CODE = 8, 20.0, 20.0
_ANSWERING, _CODE = "tinygrad_edu.workbench.answering", "tinygrad_edu.workbench.code"
#: A page to step through is a document of its own: in a sandbox, with its script known by digest.
_STEPS = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Bench(ThreadingHTTPServer):
    """The server; `address` is where its page is."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        if not 0 <= port <= 65535:
            raise GradError(f"serve: a port is a number from 0 to 65535, not {port}")
        #: One judges while the other explains, so that a verdict never waits for a picture.
        self.workers = [(threading.Lock(), Worker(_ANSWERING, SECONDS)) for _ in range(2)]
        super().__init__(("127.0.0.1", port), _Handler)  # closes the workers if it cannot
        self.token = secrets.token_urlsafe(24)
        self.files = page_files()
        self.places = threading.Semaphore(MOST_WAITING)

    @property
    def hosts(self) -> set[str]:
        """What this server may be called."""
        return {f"{name}:{self.server_address[1]}" for name in ("127.0.0.1", "localhost")}

    @property
    def address(self) -> str:
        """The address of the page, with its token."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.token}/"

    def ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """The answer to one task, from another process."""
        try:
            if task["kind"] == "code":
                own = Worker(_CODE, SECONDS_OF_CODE)
                try:
                    return dict(own.ask(task))
                finally:
                    own.close()
            lock, worker = self.workers[task["kind"] != "check"]
            with lock:
                return dict(worker.ask(task))
        except Ended as error:
            return {"error": f"this {error}", "line": 0, "column": 0}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away in the middle."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Close the server and end its processes."""
        super().server_close()
        for _, worker in self.workers:
            worker.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Bench

    def do_GET(self) -> None:
        """A file of the page, or a page to step through."""
        path = self._path()
        if path is None:
            return
        name, _, query = path.partition("?")
        name = name or "index.html"
        if name == "steps":
            self._steps(query)
        elif name in self.server.files:
            kind = TYPES["." + name.rpartition(".")[2]]
            self._send(200, self.server.files[name], kind, POLICY + "; frame-ancestors 'none'")
        else:
            self._refuse(404, "there is no such page")

    def do_POST(self) -> None:
        """One task of the page."""
        path = self._path()
        if path is None:
            return
        self.close_connection = True
        kind = path.removeprefix("ask/")
        if path != f"ask/{kind}" or kind not in ("check", "explain", "steps", "code"):
            return self._refuse(404, "there is nothing to ask here")
        # A header of one's own needs a preflight, which no other site gets.
        if self.headers.get("X-Tinygrad-Edu") != "1":
            return self._refuse(403, "only this page asks here")
        if self.headers.get_content_type() != "application/json":
            return self._refuse(415, "tasks are JSON")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return self._refuse(411, "how long is it?")
        if int(length) > MOST_BYTES:
            return self._refuse(
                413, "this text is too long: a sheet has at most 200,000 characters"
            )
        try:
            task = json.loads(self.rfile.read(int(length)))
            good = isinstance(task, dict) and isinstance(task.get("text"), str)
            good = good and isinstance(task.get("numbers") or {}, dict)
        except (ValueError, RecursionError):
            good = False
        if not good:
            return self._refuse(400, "a task has a text")
        return self._answer(task | {"kind": kind})

    def _answer(self, task: dict[str, Any]) -> None:
        if not self.server.places.acquire(blocking=False):
            return self._refuse(503, "too much is asked at once")
        try:
            answer = self.server.ask(task)
        finally:
            self.server.places.release()
        return self._send(200, json.dumps(answer).encode(), TYPES[".json"], POLICY)

    def _steps(self, query: str) -> None:
        """The page to step through for the sheet in the address."""
        try:
            packed = urllib.parse.parse_qs(query, strict_parsing=True)["s"][0]
            unpack = zlib.decompressobj(-15)
            raw = unpack.decompress(urlsafe_b64decode(packed + "=="), MOST_BYTES)
            text = raw.decode()
        except (ValueError, KeyError, zlib.error):
            return self._refuse(400, "there is no sheet in this address")
        answer = self.server.ask({"kind": "steps", "text": text})
        if "error" in answer:
            return self._refuse(422, answer["error"])
        return self._send(200, answer["html"].encode(), TYPES[".html"], _STEPS)

    def _path(self) -> str | None:
        """What is asked for below the token; None, and an answer, for whom nothing is told."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in self.server.hosts:  # another name for this machine: DNS rebinding
            self._refuse(421, "this is not the host's name")
        elif origin is not None and origin not in {f"http://{name}" for name in self.server.hosts}:
            self._refuse(403, "another site's page may not ask here")
        else:
            token, _, path = self.path.removeprefix("/").partition("/")
            if hmac.compare_digest(token.encode(), self.server.token.encode()):
                return path
            self._refuse(403, "the address is not complete: take the one that serve printed")
        return None

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True
        body = json.dumps({"error": why, "line": 0, "column": 0}).encode()
        self._send(status, body, TYPES[".json"], POLICY)

    def _send(self, status: int, body: bytes, kind: str, policy: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
            "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            **({"Connection": "close"} if self.close_connection else {}),
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """What the server calls itself: nothing that tells of this machine."""
        return "tinygrad-edu"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is the user's."""


def serve(port: int = 0, browser: bool = True) -> None:
    """Show the page until Ctrl-C; print its address, and open it in a browser if asked."""
    with contextlib.suppress(KeyboardInterrupt), Bench(port) as bench:
        print(bench.address, flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=(bench.address,), daemon=True).start()
        bench.serve_forever(poll_interval=0.1)
