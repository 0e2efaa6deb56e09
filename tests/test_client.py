"""The HTTP client against a real service."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pytest
from PIL import Image

from tests.service.proxying import serve
from vitreid import Client, ServiceProblem


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[Client]:
    with serve(tmp_path_factory.mktemp("data"), tiny_bundle) as (_, port):
        yield Client(f"http://127.0.0.1:{port}/", sleep=lambda _: None)


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., Path]:
    """Write an image of random colours; the same seed, the same image."""

    def write(seed: int, name: str | None = None) -> Path:
        cells = np.random.default_rng(seed).integers(0, 256, (64, 32, 3), dtype=np.uint8)
        path = tmp_path / (name or f"{seed}.png")
        Image.fromarray(cells).save(path)
        return path

    return write


def test_from_adding_to_erasing(client: Client, image: Callable[..., Path]) -> None:
    added = client.add([image(1), image(2, "gate, 2nd näme.png")], {"camera_id": "gate", "person_id": "a/b"})
    assert (added["added"], [each["status"] for each in added["results"]]) == (2, ["added", "added"])
    ids = [each["id"] for each in added["results"]]
    assert client.item(ids[1])["source"] == "gate, 2nd näme.png"
    found = client.query(image(1), k=1, cameras=["gate", "yard"])
    assert [match["id"] for match in found["matches"]] == ids[:1]
    assert client.query(image(1), image(2))["matches"]
    assert client.query_item(ids[0], k=5)["matches"][0]["id"] == ids[1]
    assert client.update(ids[0], track_id="t")["track_id"] == "t"
    assert [item["id"] for item in client.items(cameras="gate", limit=1)] == ids
    assert Image.open(io.BytesIO(client.image(ids[0]))).size == (32, 64)
    receipt = client.erase(found["matches"], "confirmed by hand")
    assert (receipt["items"], client.erasure(receipt["id"])["reason"]) == (1, "confirmed by hand")
    assert client.erase_person("a/b")["items"] == 1
    assert list(client.items()) == []
    client.delete(client.add([image(3)], [{"person_id": "p"}])["results"][0]["id"])
    assert client.info()["bundle"]["name"] == "tiny"


def test_what_the_service_refuses_is_raised_in_its_words(client: Client, image: Callable[..., Path]) -> None:
    with pytest.raises(ServiceProblem, match=r"404: .*item 999") as raised:
        client.item(999)
    assert (raised.value.status, raised.value.problem["type"]) == (404, "/problems/item-not-found")
    with pytest.raises(ServiceProblem, match="elsewhere"):
        Client(client.address, gallery="elsewhere").query(image(1))


def test_a_busy_service_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    requests: list[urllib.request.Request] = []
    headers = Message()
    headers["Retry-After"] = "7"

    def answer(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        requests.append(request)
        if len(requests) < 3:
            raise HTTPError(request.full_url, 503, "busy", headers, io.BytesIO(b"<html>busy</html>"))
        return io.BytesIO(b"{}")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    client = Client("http://service", "secret", attempts=3, sleep=waits.append)
    assert client.info() == {}
    assert waits == [7.0, 7.0]
    assert requests[0].headers == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(client)
    requests.clear()
    with pytest.raises(ServiceProblem, match="503: <html>busy"):
        Client("http://service", attempts=2, sleep=waits.append).info()
