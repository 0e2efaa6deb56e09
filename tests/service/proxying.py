"""A service on a real port, and a proxy that publishes it under a prefix."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vitreid.service.api.server.serving import bound_socket, make_server, running
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig

PREFIX = "/vitreid"


@contextmanager
def proxy(port: int, *, strips: bool = True) -> Iterator[str]:
    """The address of the service at `port` under a prefix, passed on as the documented nginx does it."""

    class Pass(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if not self.path.startswith(PREFIX + "/"):
                self.send_error(404, "not of the service")
                return
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            upstream.request(self.command, self.path.removeprefix(PREFIX) if strips else self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "transfer-encoding", "content-length", "date", "server"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pass)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve(data: Path, bundle: Path, **settings: Any) -> Iterator[tuple[Service, int]]:
    """A service, and the port that it listens on."""
    config = ServiceConfig(data=data, bundle=bundle, runtime="fake", log_level="error", **settings)
    with (
        open_service(config) as service,
        bound_socket("127.0.0.1", 0) as listener,
        running(make_server(config, service), listener),
    ):
        yield service, listener.getsockname()[1]
