"""A small stand-in for the Hugging Face hub: one model, served from a folder of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What is served, and what was fetched of it: paths of files, in order."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name = name
        self.folder = folder
        self.url = url
        self.fetched: list[str] = []

    def environment(self, cache: Path) -> dict[str, str]:
        """The environment of a process that knows no hub but this one."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return {
            **kept,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Hub]:
    """Serve the pipeline in ``folder`` as the hub's model ``name`` within the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = Hub(name, folder, f"http://127.0.0.1:{server.server_address[1]}")
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """The few addresses of the hub that loading asks for: of a model, its revisions, trees and files."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        path = unquote(urlsplit(self.path).path).strip("/")
        api = f"api/models/{hub.name}"
        if path.startswith(f"{hub.name}/resolve/"):
            revision, _, file = path.removeprefix(f"{hub.name}/resolve/").partition("/")
            self._file(hub, revision, file, body)
        elif path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            names = [{"rfilename": str(each.relative_to(hub.folder))} for each in hub.files()]
            self._json({"id": hub.name, "modelId": hub.name, "sha": COMMIT, "siblings": names}, body)
        elif path.startswith((f"{api}/tree/main", f"{api}/tree/{COMMIT}")):
            tree = [
                {
                    "type": "file",
                    "path": str(each.relative_to(hub.folder)),
                    "size": each.stat().st_size,
                    "oid": _etag(each),
                }
                for each in hub.files()
            ]
            self._json(tree, body)
        elif path.startswith((hub.name, api)):
            self._refuse("RevisionNotFound", body)
        else:
            self._refuse("RepoNotFound", body)

    def _file(self, hub: Hub, revision: str, file: str, body: bool) -> None:
        place = hub.folder / file
        if revision not in ("main", COMMIT):
            self._refuse("RevisionNotFound", body)
        elif not place.is_file():
            self._refuse("EntryNotFound", body)
        else:
            if body:
                hub.fetched.append(file)
            headers = {"ETag": f'"{_etag(place)}"', "X-Repo-Commit": COMMIT}
            self._send(200, place.read_bytes(), headers, body)

    def _json(self, content: Any, body: bool) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, body)

    def _refuse(self, code: str, body: bool) -> None:
        self._send(404, b"", {"X-Error-Code": code, "X-Error-Message": code}, body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
