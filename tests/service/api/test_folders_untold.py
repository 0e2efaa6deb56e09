"""No answer tells where on the machine the service keeps its files; the log does."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.service.application import application_of
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig, gallery_folder
from vitreid.service.gallery.gallery import Gallery

NAMES = ("other-model", "something-else", "a-file", "damaged", "nowhere", "default")


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


@pytest.fixture
def troubled(config: ServiceConfig) -> ServiceConfig:
    """Galleries that cannot be used, each in another way."""
    with Gallery.open(gallery_folder(config.data, "other-model"), bundle_id="0" * 64, dimension=48):
        pass
    for name, file in (("something-else", "notes.txt"), ("damaged", "gallery.db")):
        folder = gallery_folder(config.data, name)
        folder.mkdir(parents=True)
        (folder / file).write_text("no gallery" * 100)
    gallery_folder(config.data, "a-file").write_text("")
    return config


@pytest.mark.slow
@pytest.mark.parametrize("relative", [False, True])
def test_no_answer_of_any_route_names_the_data_folder(
    troubled: ServiceConfig, relative: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = str(troubled.data)
    if relative:
        monkeypatch.chdir(troubled.data.parent)
        troubled = troubled.model_copy(update={"data": Path(troubled.data.name)})
    caplog.set_level(logging.WARNING)
    statuses = set()
    with TestClient(create_app(troubled), raise_server_exceptions=False) as client:
        for route in application_of(client).state.api_routes:
            for method in route.methods - {"HEAD"}:
                for name in NAMES:
                    path = re.sub(r"{\w+[^}]*}", "1", re.sub(r"{name[^}]*}", name, route.path))
                    body = {} if method == "PUT" else {"item_ids": [1]}
                    answer = client.request(method, f"{path}?gallery={name}", json=body)
                    statuses.add(answer.status_code)
                    text = answer.text + str(dict(answer.headers))
                    assert folder not in text, (method, path, name)
                    assert not re.search(r"/tmp/|/galleries/\S+ (is|holds)", text), (method, path, name)
        refused = client.get("/v1/items?gallery=other-model")
    assert {404, 409, 422, 503} <= statuses
    assert 500 not in statuses
    assert "other-model holds embeddings of bundle" in refused.json()["detail"]
    assert "galleries/other-model holds embeddings" in caplog.text
