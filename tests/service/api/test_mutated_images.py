"""Mutated images in every request that takes images: a typed answer each, and the next request works.

That they are read without a crash is tested with all of them, without HTTP: tests/service/intake/test_preparing.py.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.intake.test_preparing import mutants
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig

EVERY = 30
"""Of the mutants one in so many is sent."""
AT_ONCE = 7


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[TestClient]:
    config = ServiceConfig(data=tmp_path_factory.mktemp("data"), bundle=tiny_bundle, runtime="fake", threads=1)
    with TestClient(create_app(config), raise_server_exceptions=False) as started, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in production: Pillow warns of odd EXIF and palettes
        yield started


def check_refusal(problem: dict[str, Any]) -> None:
    """It says what is wrong with the image, and nothing of our insides."""
    assert (problem["type"], problem["status"]) == ("/problems/bad-image", 422)
    assert problem["detail"].startswith("image")
    assert "\n" not in problem["detail"]
    assert len(problem["detail"]) < 500


@pytest.mark.slow
@pytest.mark.parametrize("route", ["/v1/query", "/v1/embed"])
def test_a_mutated_image_as_the_body(route: str, client: TestClient, make_image: Callable[[int], bytes]) -> None:
    headers = {"content-type": "image/jpeg"}
    statuses: Counter[int] = Counter()
    for content in islice(mutants(), 0, None, EVERY):
        answer = client.post(route, content=content, headers=headers)
        statuses[answer.status_code] += 1
        if answer.status_code != 200:
            check_refusal(answer.json())
    assert set(statuses) == {200, 422}
    assert min(statuses.values()) > 20
    assert client.post(route, content=make_image(1), headers=headers).status_code == 200


def test_mutated_images_beside_good_ones(client: TestClient, make_image: Callable[[int], bytes]) -> None:
    every = islice(mutants(), 5, None, EVERY)
    statuses: Counter[str] = Counter()
    seed = 0
    while contents := list(islice(every, AT_ONCE)):
        good, seed = make_image(seed), seed + 1
        files = [("images", (f"image {place}", content)) for place, content in enumerate([*contents, good])]
        body = client.post("/v1/items", files=files).json()
        *results, last = body["results"]
        assert last["status"] == "added"
        statuses.update(result["status"] for result in results)
        for result in results:
            if result["error"] is not None:
                check_refusal(result["error"])
    assert set(statuses) - {"duplicate"} == {"added", "error"}
    assert min(statuses["added"], statuses["error"]) > 20
