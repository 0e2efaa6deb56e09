"""Actions of the tests of the page: serve a gallery, choose files, search, select."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from vitreid.service.api.server.serving import address_of, bound_socket, make_server, running
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Locator, Page, Route


@dataclass(frozen=True)
class Served:
    """A running service, with the key of an administrator if it requires keys."""

    address: str
    service: Service
    key: str | None = None

    def add(self, images: Sequence[bytes], labels: Sequence[dict[str, Any]], gallery: str = "default") -> None:
        """Put images into a gallery."""
        import httpx2

        files = [("images", (f"{place}.jpg", content)) for place, content in enumerate(images)]
        answer = httpx2.post(
            f"{self.address}/v1/items?gallery={gallery}",
            data={"metadata": json.dumps(list(labels))},
            files=files,
            headers={"authorization": f"Bearer {self.key}"} if self.key else {},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text

    def add_eight(self, make_image: Callable[..., bytes], gallery: str = "default") -> None:
        """Images 0 to 7: persons 0001 to 0004 at the cameras c1 and c2, one an hour from 8:30 UTC on."""
        labels = [
            {
                "person_id": f"{1 + seed % 4:04d}",
                "camera_id": f"c{1 + seed // 4}",
                "track_id": f"t{seed}",
                "captured_at": f"2026-05-01T{8 + seed:02d}:30:00Z",
            }
            for seed in range(8)
        ]
        self.add([make_image(seed) for seed in range(8)], labels, gallery)


@contextmanager
def serve(data: Path, bundle: Path, *, with_keys: bool = False, purge_after_s: float = 86_400) -> Iterator[Served]:
    """Serve an empty gallery; its files are purged by the test unless `purge_after_s` is short."""
    config = ServiceConfig(data=data, bundle=bundle, runtime="fake", log_level="error", purge_after_s=purge_after_s)
    with (
        bound_socket("127.0.0.1", 0) as listener,
        open_service(config) as service,
        running(make_server(config, service), listener),
    ):
        key = service.access.keys.create("tests", ["admin"])[1] if with_keys else None
        yield Served(address_of(listener), service, key)


def jpeg(name: str, content: bytes) -> FilePayload:
    """A JPEG file for a file input."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


def choose(page: Page, *contents: bytes, field: str = "#file") -> None:
    """Choose images called 0.jpg, 1.jpg, ..."""
    page.set_input_files(field, [jpeg(f"{place}.jpg", content) for place, content in enumerate(contents)])


def search(page: Page, address: str, *contents: bytes) -> None:
    """Open the page and wait for the candidates of a query."""
    page.goto(address)
    page.wait_for_selector("#facts:has-text('model')")
    choose(page, *contents)
    page.wait_for_selector(".answer:not(.busy) .card")


def sent(page: Page, act: Callable[[], object]) -> tuple[str, dict[str, list[str]]]:
    """Path and parameters of the query that `act` sends, after its answer."""
    with page.expect_response(lambda answer: "/v1/query" in answer.url and answer.request.method == "POST") as answered:
        act()
    page.wait_for_selector(".answer:not(.busy)")
    parts = urlsplit(answered.value.url)
    return parts.path, parse_qs(parts.query)


def select(page: Page, *places: int) -> None:
    """Select the candidates at these places."""
    for place in places:
        page.locator(".card .select").nth(place).check()


def item_id(page: Page, place: int) -> int:
    """Id of the candidate at a place."""
    return int((page.locator(".card .select").nth(place).get_attribute("data-item") or "").partition("/")[2])


class HeldRequests:
    """Requests to URLs of a pattern, held back until the test releases them."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._page = page
        self.routes: list[Route] = []
        page.route(pattern, lambda route: self.routes.append(route))

    def wait(self, count: int = 1) -> None:
        """Wait until `count` requests are held."""
        for _ in range(1500):
            if len(self.routes) >= count:
                return
            self._page.wait_for_timeout(10)
        raise AssertionError(f"{len(self.routes)} requests were sent and not {count}")

    def release(self, place: int = 0) -> None:
        """Send one request, and wait until it is answered or aborted by the page."""
        from playwright.sync_api import Error

        route = self.routes.pop(place)
        route.continue_()
        with suppress(Error):  # the page may have aborted it
            if answer := route.request.response():
                answer.finished()
        settle(self._page)


def settle(page: Page) -> None:
    """Wait, so that an unwanted action of the page would happen."""
    page.wait_for_timeout(350)


def erase(page: Page, reason: str = "request of 2026-11-20") -> None:
    """Erase the selection, and wait for the receipt."""
    page.click("#erase-selected")
    page.fill("#reason", reason)
    page.check("#reviewed")
    page.click("#erase-go")
    page.wait_for_selector("#receipt:not([hidden])")


def wait_until_drawn(image: Locator) -> None:
    """Wait until a test image is drawn."""
    from playwright.sync_api import expect

    expect(image).to_have_js_property("naturalWidth", 32)


def violations(page: Page, axe: str, within: str = "html") -> list[str]:
    """Violations that axe reports; in dark mode only the contrast is checked again."""
    page.evaluate(axe)
    results = page.evaluate("(within) => axe.run(within)", within)["violations"]
    page.emulate_media(color_scheme="dark")
    results += page.evaluate("(within) => axe.run(within, { runOnly: ['color-contrast'] })", within)["violations"]
    page.emulate_media(color_scheme="light")
    return [f"{rule['id']}: {node['html']}: {node['failureSummary']}" for rule in results for node in rule["nodes"]]
