"""An erasure over HTTP, as far as the last byte of every file that the service writes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.service.application import service_of
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.maintenance.patch_backfill import PatchBackfill
from vitreid.service.gallery.maintenance.scheduler import Scheduler
from vitreid.service.gallery.snapshots.snapshot import snapshots

LABELS: dict[str, Any] = {
    "camera_id": "camera above the side door",
    "person_id": "Ulrike Person of Interest",
    "track_id": "track across the yard",
    "captured_at": "1999-12-31T23:59:58Z",
    "metadata": {"what nobody may read": "a secret value", "deep": [{"inside": "another secret"}]},
}


@pytest.fixture
def client(tmp_path: Path, explained_bundle: Path) -> Iterator[TestClient]:
    config = ServiceConfig(data=tmp_path, bundle=explained_bundle, runtime="fake", index="flat", purge_after_s=0)
    with TestClient(create_app(config)) as started:
        service_of(started).maintenance.stop()  # the test itself looks after the galleries, when it is their time
        yield started


def noise(seed: int) -> bytes:
    """A JPEG with a comment: the bytes that are sent, which are not those that are stored."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=90, comment=b"a comment about somebody")
    return content.getvalue()


def traces(gallery: Gallery, item_id: int, sent: bytes, model: str) -> dict[str, bytes]:
    """Pieces of all that is known about an item, so short that no page hides them."""
    item = gallery.get(item_id)
    embedding = np.asarray(gallery.embeddings([item_id])[0], dtype="<f4")
    stored = gallery.image(item_id) or b""
    [patches] = gallery.foregrounds([item_id], model).values()
    return {
        "image as sent": sent[len(sent) // 2 :][:48],
        "comment": b"a comment about somebody",
        "image as stored": stored[len(stored) // 2 :][:48],
        "hash": item.image_hash.encode(),
        "source": (item.source or "").encode(),
        "embedding": embedding.tobytes()[:48],
        "half precision": embedding.astype("<f2").tobytes()[:48],
        "patches": patches.vectors.astype("<f2").tobytes()[:48],
        "camera_id": b"above the side door",
        "person_id": b"Ulrike",
        "track_id": b"across the yard",
        "captured_at": b"1999-12-31T23:59",
        "metadata key": b"what nobody may read",
        "metadata value": b"a secret value",
        "nested metadata": b"another secret",
    }


def found(folder: Path, wanted: dict[str, bytes]) -> dict[str, list[str]]:
    """Return the traces that lie in files below a folder, by file."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    where = {name: [path for path, content in files.items() if trace in content] for name, trace in wanted.items()}
    return {name: paths for name, paths in where.items() if paths}


def add(client: TestClient, name: str, content: bytes, **labels: Any) -> int:
    answer = client.post("/v1/items", files={"images": (name, content)}, data={"metadata": json.dumps(labels)})
    [result] = answer.json()["results"]
    assert result["status"] == "added"
    return int(result["id"])


def erase_person(client: TestClient, item_id: int) -> dict[str, Any]:
    return client.delete(f"/v1/persons/{LABELS['person_id']}").json()


def erase_items(client: TestClient, item_id: int) -> dict[str, Any]:
    return client.post("/v1/erasures", json={"item_ids": [item_id]}).json()


@pytest.mark.slow
@pytest.mark.parametrize("erase", [erase_person, erase_items])
def test_nothing_is_left_in_any_file(
    erase: Callable[[TestClient, int], dict[str, Any]], client: TestClient, tmp_path: Path
) -> None:
    service = service_of(client)
    gallery = service.gallery()
    secret = noise(1)
    for seed in range(10, 30):
        add(client, f"{seed}.jpg", noise(seed), person_id="somebody else")
    item_id = add(client, "a name that says a lot.jpg", secret, **LABELS)
    gallery.change_settings(store_patches=True)
    PatchBackfill(service.explainer, service.embedder.prepare)(gallery)
    everything = traces(gallery, item_id, secret, service.explainer.model or "")
    gallery.write_snapshot()
    # AuditFilter for, shown, labelled and refused in every way: some of it is recorded.
    headers = {"content-type": "image/jpeg"}
    assert client.post("/v1/query", content=secret, headers=headers).json()["matches"][0]["id"] == item_id
    assert client.get(f"/v1/items/{item_id}/image").status_code == 200
    assert client.patch(f"/v1/items/{item_id}", json={"track_id": "another track"}).status_code == 200
    assert client.patch(f"/v1/items/{item_id}", json={"person_id": 7}).status_code == 422
    again = client.post("/v1/items", files={"images": ("a name that says a lot.jpg", secret)})
    assert again.json()["duplicates"] == 1
    gallery.write_snapshot()
    assert len(snapshots(gallery.folder)) == 2
    # The bytes as they were sent are nowhere even now: images are stored anew, without comments.
    assert set(everything) - set(found(tmp_path, everything)) == {"image as sent", "comment", "half precision"}

    receipt = erase(client, item_id)
    assert receipt["item_ids"] == [item_id]
    assert receipt["purged_at"] is None
    assert client.get(f"/v1/items/{item_id}").status_code == 404
    Scheduler(lambda: service.galleries.opened().values(), purge_after_s=0).run_due_jobs()
    done = client.get(f"/v1/erasures/{receipt['id']}").json()
    assert done["purged_at"] is not None
    assert done["remaining"] == []
    everything["later label"] = b"another track"
    assert found(tmp_path, everything) == {}

    # The log tells by ids what happened, and the others are all there.
    rows = client.get("/v1/audit").json()["rows"]
    about = {row["action"] for row in rows if item_id in row["items"]}
    assert {"query", "view-image", "patch", "add"} < about
    assert any(action.startswith("erase") for action in about)
    assert "somebody else" in json.dumps(client.get("/v1/items").json())
    assert client.post("/v1/query", content=noise(12), headers=headers).json()["best_score"] == pytest.approx(1)
    assert len(gallery) == 20
