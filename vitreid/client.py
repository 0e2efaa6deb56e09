"""HTTP client of a running service, on the standard library alone."""

from __future__ import annotations

import json
import mimetypes
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

Json = dict[str, Any]
"""A JSON object; docs/api.md describes each."""
BUSY = frozenset({429, 503})
OCTETS = "application/octet-stream"


class ServiceProblem(Exception):
    """The service refused a request: the HTTP `status`, and `problem`, the RFC 9457 body."""

    exit_code = 2

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(f"{status}: {problem.get('detail') or problem.get('title') or 'no reason given'}")
        self.status, self.problem = status, problem


@dataclass(frozen=True)
class Client:
    """A service at an address. Each method is one route; its keyword arguments are the route's parameters.

    If the service is busy (429, 503), a request is repeated after the time in its Retry-After header. Methods raise
    ServiceProblem if the service refuses a request, and OSError if it cannot be reached.
    """

    address: str = "http://127.0.0.1:8000"
    key: str | None = field(default=None, repr=False)
    gallery: str | None = None
    """The gallery of every request; None: the default gallery."""
    timeout_s: float = 60.0
    attempts: int = 5
    sleep: Callable[[float], None] = time.sleep

    def query(self, *images: Path | str, **conditions: Any) -> Json:
        """Search with one image, or with 2 to 8 images of one person; `matches` are the most similar first."""
        if len(images) == 1:
            path = Path(images[0])
            return self.request("POST", "/v1/query", self._in_gallery(conditions), path.read_bytes(), _media_type(path))
        return self.request("POST", "/v1/query", self._in_gallery(conditions), *_multipart("image", images))

    def query_item(self, item_id: int, **conditions: Any) -> Json:
        """Search with an item of the gallery."""
        return self.request("POST", f"/v1/query/{item_id}", self._in_gallery(conditions))

    def add(self, images: Sequence[Path | str], labels: Json | Sequence[Json] = (), **options: Any) -> Json:
        """Add images; `labels` is one object for all or one for each. Check `results`: some may be refused."""
        fields = {"metadata": json.dumps(labels)} if labels else {}
        return self.request("POST", "/v1/items", self._in_gallery(options), *_multipart("images", images, fields))

    def items(self, **conditions: Any) -> Iterator[Json]:
        """Iterate over every item that meets the conditions, page by page."""
        after: int | None = 0
        while after is not None:
            page = self.request("GET", "/v1/items", self._in_gallery({"limit": 1000, **conditions, "after": after}))
            yield from page["items"]
            after = page["next_after"]

    def item(self, item_id: int) -> Json:
        """Return one item."""
        return self.request("GET", f"/v1/items/{item_id}", self._in_gallery())

    def image(self, item_id: int) -> bytes:
        """Return the stored JPEG of an item."""
        return self.send("GET", f"/v1/items/{item_id}/image", self._in_gallery())

    def update(self, item_id: int, **labels: Any) -> Json:
        """Change labels of an item (person_id, camera_id, track_id, captured_at, metadata) and return it."""
        return self.request("PATCH", f"/v1/items/{item_id}", self._in_gallery(), *_json(labels))

    def delete(self, item_id: int) -> None:
        """Delete an item, without a receipt."""
        self.send("DELETE", f"/v1/items/{item_id}", self._in_gallery())

    def erase(self, matches: Sequence[Mapping[str, Any]], reason: str | None = None) -> Json:
        """Erase items or confirmed matches, by `id` and `image_hash`, and return the receipt."""
        named = [{"id": match["id"], "image_hash": match["image_hash"]} for match in matches]
        return self.request("POST", "/v1/erasures", self._in_gallery(), *_json({"items": named, "reason": reason}))

    def erase_person(self, person_id: str) -> Json:
        """Erase all items of a person and return the receipt."""
        return self.request("DELETE", f"/v1/persons/{quote(person_id, safe='')}", self._in_gallery())

    def erasure(self, erasure_id: int) -> Json:
        """Return a receipt; `purged_at` is set once no file contains data of the items."""
        return self.request("GET", f"/v1/erasures/{erasure_id}")

    def info(self) -> Json:
        """Return the version, model, limits and calibration of the service."""
        return self.request("GET", "/v1/info")

    def request(
        self, method: str, path: str, params: Json | None = None, body: bytes | None = None, media_type: str = OCTETS
    ) -> Json:
        """Call any route and return the JSON object of its answer."""
        answer: Json = json.loads(self.send(method, path, params, body, media_type))
        return answer

    def send(
        self, method: str, path: str, params: Json | None = None, body: bytes | None = None, media_type: str = OCTETS
    ) -> bytes:
        """Call any route and return the body of its answer. Lists in `params` repeat a parameter; None is omitted."""
        written = {name: json.dumps(each) if isinstance(each, bool) else each for name, each in (params or {}).items()}
        query = urlencode({name: each for name, each in written.items() if each is not None}, doseq=True)
        headers = {"Content-Type": media_type} if body is not None else {}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        url = f"{self.address.rstrip('/')}{path}" + (f"?{query}" if query else "")
        return self._with_retries(urllib.request.Request(url, body, headers, method=method))

    def _in_gallery(self, params: Json | None = None) -> Json:
        return {"gallery": self.gallery, **(params or {})}

    def _with_retries(self, request: urllib.request.Request) -> bytes:
        for attempt in range(1, self.attempts + 1):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                    content: bytes = answer.read()
                    return content
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in BUSY or attempt == self.attempts:
                        raise ServiceProblem(error.code, _problem(error.read())) from None
                    self.sleep(float(error.headers.get("Retry-After", 1)))
        raise AssertionError("attempts is not positive")


def _problem(body: bytes) -> Json:
    try:
        problem = json.loads(body)
    except ValueError:  # the answer of a proxy
        problem = None
    return problem if isinstance(problem, dict) else {"detail": body.decode(errors="replace")[:300]}


def _json(content: Json) -> tuple[bytes, str]:
    return json.dumps(content).encode(), "application/json"


def _media_type(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or OCTETS


def _multipart(name: str, images: Sequence[Path | str], fields: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """Return body and media type of a form with fields, and images under one name."""
    boundary = uuid.uuid4().hex
    parts = [
        f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in (fields or {}).items()
    ]
    for path in map(Path, images):
        file_name = path.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")  # as browsers escape it
        head = f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
        parts.append(f"{head}Content-Type: {_media_type(path)}\r\n\r\n".encode() + path.read_bytes())
    lines = [line for part in parts for line in (f"--{boundary}\r\n".encode(), part, b"\r\n")]
    return b"".join([*lines, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"
