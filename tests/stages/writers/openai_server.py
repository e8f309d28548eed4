"""A server of OpenAI's protocol behind which the mini world's grammar answers, with faults on order."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stages.writers.base import EditRequest
from stages.writers.completion_format import CompletionFormat
from stages.writers.grammar_writer import GrammarWriter

KEY = "sk-test-0123456789-never-to-be-written"
MODEL = "grammar"


class Server(ThreadingHTTPServer):
    """``faults`` are met by the next requests, one each: a status, "stall", "drop", "garbage", "echo",
    "quota", "newer" or a text.

    A text is the answer's content. After ``answered_at_most`` requests it takes no key any more.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults: deque[int | str] = deque()
        self.key: str | None = KEY
        self.answered_at_most: int | None = None
        self.delay = 0.0
        self.stall = 3.0
        self.requests: list[tuple[float, str, dict[str, Any]]] = []
        self.now = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are for."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Tests speak for themselves."""

    def do_GET(self) -> None:
        if self._allowed():
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            return
        server = self.server
        with server.lock:
            server.requests.append((time.monotonic(), self.path, body))
            server.now += 1
            server.most = max(server.most, server.now)
            fault = server.faults.popleft() if server.faults else ""
        try:
            time.sleep(server.delay)
            self._meet(fault, body)
        finally:
            with server.lock:
                server.now -= 1

    def _meet(self, fault: int | str, body: dict[str, Any]) -> None:
        if fault == "stall":
            time.sleep(self.server.stall)
        elif fault == "drop":
            self.close_connection = True
            self.connection.close()
        elif fault == "garbage":
            self._send_bytes(200, b"<html>welcome</html>", {"Content-Type": "text/html"})
        elif fault == "quota":
            about = {"message": "you exceeded your current quota", "code": "insufficient_quota"}
            self._send(429, {"error": about}, {"x-should-retry": "false"})
        elif fault == "newer":
            self._send(400, {"error": {"message": "unsupported parameter", "param": "max_tokens"}})
        elif fault == "echo":
            self._send(400, {"error": {"message": f"you sent {self.headers['Authorization']}"}})
        elif isinstance(fault, int):
            self._send(fault, {"error": {"message": "as ordered"}}, {"Retry-After": "0.3"})
        else:
            self._send(200, self._answer(body, fault))

    def _answer(self, body: dict[str, Any], content: str) -> dict[str, Any]:
        about = {"id": "1", "created": 0, "model": body["model"]}
        if self.path.endswith("/chat/completions"):
            caption = body["messages"][-1]["content"].removeprefix("Caption: ")
            (edit,) = GrammarWriter().write([EditRequest(caption, body["seed"])])
            text = json.dumps({"instruction": edit.instruction, "edited_caption": edit.edited})
            message = {"role": "assistant", "content": content or text}
            return {
                **about,
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }
        caption = body["prompt"].removesuffix(CompletionFormat().separator)
        (edit,) = GrammarWriter().write([EditRequest(caption, body["seed"])])
        text = CompletionFormat().completion(edit.instruction, edit.edited).removesuffix(body["stop"][0])
        choice = {"index": 0, "text": content or text, "finish_reason": "length" if content else "stop"}
        return {**about, "object": "text_completion", "choices": [choice]}

    def _allowed(self) -> bool:
        sent = self.headers.get("Authorization")
        most = self.server.answered_at_most
        closed = most is not None and len(self.server.requests) >= most
        if not closed and (self.server.key is None or sent == f"Bearer {self.server.key}"):
            return True
        self._send(401, {"error": {"message": f"Incorrect API key provided: {sent}"}})
        return False

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send_bytes(
            status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def _send_bytes(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
