"""A hub on this machine that takes datasets: as much of its HTTP interface as an upload asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

COMMIT = "c" * 40


@dataclass
class Hub:
    """``stored`` are the files committed to each repository by their paths; ``objects`` what LFS got, by digest."""

    url: str = ""
    token: str = "hf_test"
    stored: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, told: Any = None, error: str = "") -> None:
            body = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            if path.startswith("/lfs/"):
                digest = path.removeprefix("/lfs/")
                whole = hashlib.sha256(body).hexdigest() == digest
                if whole:
                    hub.objects[digest] = body
                self.answer(200 if whole else 400)
            elif path == "/api/validate-yaml":
                self.answer(200, {"errors": [], "warnings": []})
            elif self.headers.get("Authorization") != f"Bearer {hub.token}":
                self.answer(401, {"error": "Invalid credentials"})
            elif path == "/api/repos/create":
                asked = json.loads(body)
                name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
                hub.stored.setdefault(name, {})
                self.answer(200, {"url": f"{hub.url}/datasets/{name}", "name": name})
            elif path.endswith(".git/info/lfs/objects/batch"):
                wanted = [
                    {**one, "actions": {"upload": {"href": f"{hub.url}/lfs/{one['oid']}"}}}
                    for one in json.loads(body)["objects"]
                ]
                self.answer(200, {"transfer": "basic", "objects": wanted})
            else:
                parts = path.removeprefix("/api").split("/")
                self.repository("/".join(parts[2:4]), parts[4] if len(parts) > 4 else "", body)

        def repository(self, name: str, what: str, body: bytes) -> None:
            if name not in hub.stored:
                self.answer(404, {"error": "Repository not found"}, "RepoNotFound")
            elif what in ("", "revision"):
                self.answer(200, {"id": name, "sha": COMMIT, "siblings": []})
            elif what == "preupload":
                files = [
                    {
                        "path": one["path"],
                        "uploadMode": "lfs" if one["path"].endswith(".parquet") else "regular",
                    }
                    for one in json.loads(body)["files"]
                ]
                self.answer(200, {"files": [{**one, "shouldIgnore": False} for one in files]})
            elif what == "commit":
                for line in map(json.loads, body.splitlines()):
                    told = line["value"]
                    if line["key"] == "file":
                        hub.stored[name][told["path"]] = base64.b64decode(told["content"])
                    elif line["key"] == "lfsFile":
                        hub.stored[name][told["path"]] = hub.objects[told["oid"]]
                self.answer(
                    200, {"commitUrl": f"{hub.url}/datasets/{name}/commit/{COMMIT}", "commitOid": COMMIT}
                )
            else:
                # What is looked for in a repository that is new: a card, and files of an earlier upload.
                self.answer(404, {"error": "Entry not found"}, "EntryNotFound")

        do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
