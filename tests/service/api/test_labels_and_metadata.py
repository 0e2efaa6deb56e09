"""Labels and metadata have the same rules on every way in, and what an older version accepted stays usable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.commands import vitreid
from tests.service.application import service_of
from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.name_pattern import NamePattern
from vitreid.service.errors import TableError
from vitreid.service.intake.box_files import read_boxes
from vitreid.service.intake.boxes import BoxSource
from vitreid.service.intake.labels import labels_of_names, read_table

Make = Callable[..., bytes]
BAD_LABELS = [
    "",
    " ",
    " a",
    "a ",
    "a\n",
    "a\tb",
    "\x85",
    "a\u2028b",
    "\ud800",
    ".",
    "..",
    "a/../b",
    "x" * 129,
]
GOOD_LABELS = [
    "anna",
    "a//b",
    "/a",
    "a/",
    "http://a",
    "north gate",
    "a/b",
    "北門",
    "a.b",
    "...",
    "x" * 128,
    "-",
    "50%",
    "a?b#c",
]
BAD_METADATA = [
    '{"a": NaN}',
    '{"a": [Infinity]}',
    '{"a": -1e999}',
    '{"a": "\\ud800"}',
    '{"\\udfff": 1}',
    '{"a": {"b": "\\udc00x"}}',
    '{"a": 99999999999999999999}',
    f'{{"a": {"[" * 32}{"]" * 32}}}',
    f'{{"a": {"[" * 180}{"]" * 180}}}',
]


@pytest.fixture
def runtime() -> str:
    """The fake runtime: the model does not matter here."""
    return "fake"


def add(client: TestClient, content: bytes, metadata: str) -> Any:
    return client.post("/v1/items", files={"images": ("a.jpg", content)}, data={"metadata": metadata})


@pytest.mark.slow
@pytest.mark.parametrize("label", BAD_LABELS)
@pytest.mark.parametrize("name", ["camera_id", "person_id", "track_id"])
def test_no_door_takes_a_bad_label(client: TestClient, make_image: Make, tmp_path: Path, name: str, label: str) -> None:
    assert add(client, make_image(1), json.dumps({name: label})).status_code == 422
    if name != "camera_id":
        assert (
            add(client, make_image(1), json.dumps({"boxes": [{"box": [0, 0, 9, 9], name: label}]})).status_code == 422
        )
    assert add(client, make_image(1), "{}").status_code == 200
    assert client.patch("/v1/items/1", content=json.dumps({name: label}).encode()).status_code == 422
    entry = {"path": "a.jpg", "box": [0, 0, 9, 9], name: label}
    (tmp_path / "boxes.json").write_text(json.dumps([entry]))
    with pytest.raises(TableError):
        read_boxes(BoxSource(tmp_path / "boxes.json"), {"a.jpg"})


@pytest.mark.parametrize("label", ["a\tb", "a\x85b", "a\u2028b", ".", "..", "a/../b", "x" * 129])
def test_a_table_takes_no_bad_label(tmp_path: Path, label: str) -> None:
    (tmp_path / "table.csv").write_text(f'path,person_id\na.jpg,"{label}"\n', encoding="utf-8")
    with pytest.raises(TableError, match="line 2: person_id"):
        read_table(tmp_path / "table.csv", ["a.jpg"])


@pytest.mark.parametrize("label", ["", " c1", "c1\n", "..", "x" * 129])
def test_a_command_takes_no_bad_label(tmp_path: Path, label: str) -> None:
    for arguments in (["--camera", label], ["--boxes", "b.csv", "--track-prefix", label + "\n"]):
        done = vitreid("index", str(tmp_path), "--gallery", str(tmp_path / "g"), *arguments)
        assert "camera" in str(done.exception) or "track-prefix" in str(done.exception)
    done = vitreid("keys", "create", "gate", "--scope", "read", "--camera", label, "--data", str(tmp_path))
    assert "--camera" in str(done.exception)
    assert not (tmp_path / "access.db").exists()


def test_a_key_is_for_galleries_that_can_be(tmp_path: Path) -> None:
    done = vitreid("keys", "create", "a", "--scope", "read", "--gallery", "My Shop", "--data", str(tmp_path))
    assert "a gallery cannot be called 'My Shop'" in str(done.exception)


@pytest.mark.slow
@pytest.mark.parametrize("label", GOOD_LABELS)
def test_a_good_label_can_be_given_found_and_erased(client: TestClient, make_image: Make, label: str) -> None:
    labels = {"camera_id": label, "person_id": label, "track_id": label}
    assert add(client, make_image(1), json.dumps(labels)).json()["added"] == 1
    for name, value in {"cameras": label, "person_id": label, "track_id": label}.items():
        assert len(client.get("/v1/items", params={name: value}).json()["items"]) == 1
    address = client.build_request("DELETE", "/v1/persons/x").url.copy_with(
        raw_path=b"/v1/persons/" + "".join(f"%{byte:02X}" for byte in label.encode()).encode()
    )
    assert client.delete(address).status_code == 202


@pytest.mark.parametrize("metadata", BAD_METADATA)
def test_metadata_is_json(client: TestClient, make_image: Make, metadata: str) -> None:
    assert add(client, make_image(1), f'{{"metadata": {metadata}}}').status_code == 422
    boxes = f'{{"boxes": [{{"box": [0, 0, 9, 9], "metadata": {metadata}}}]}}'
    assert add(client, make_image(1), boxes).status_code == 422
    assert add(client, make_image(1), "{}").status_code == 200
    headers = {"content-type": "application/json"}
    answer = client.patch("/v1/items/1", content=f'{{"metadata": {metadata}}}', headers=headers)
    assert answer.status_code == 422
    assert client.get("/v1/items/1").json()["metadata"] == {}


@pytest.mark.parametrize("depth", [31, 32, 240, 250, 251, 252, 253, 254, 255, 256])
def test_no_metadata_is_too_deep_to_be_listed(client: TestClient, make_image: Make, depth: int) -> None:
    add(client, make_image(1), "{}")
    deep = "[" * depth + "]" * depth
    headers = {"content-type": "application/json"}
    answer = client.patch("/v1/items/1", content=f'{{"metadata": {{"a": {deep}}}}}', headers=headers)
    assert answer.status_code == (200 if depth == 31 else 422)
    assert client.get("/v1/items").json()["items"][0]["id"] == 1


@pytest.mark.parametrize("metadata", BAD_METADATA)
def test_metadata_of_a_file_of_boxes_is_json(tmp_path: Path, metadata: str) -> None:
    (tmp_path / "boxes.json").write_text(f'[{{"path": "a.jpg", "box": [0, 0, 9, 9], "metadata": {metadata}}}]')
    with pytest.raises(TableError, match="entry 1"):
        read_boxes(BoxSource(tmp_path / "boxes.json"), {"a.jpg"})


def test_a_confidence_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,9,9,nan\n")
    with pytest.raises(TableError, match="line 1: confidence is nan"):
        read_boxes(BoxSource(tmp_path / "det.txt"), {"000001.jpg"})


@pytest.mark.parametrize("metadata", ['{"a": NaN}', '{"a": ["\\ud800"]}'])
def test_stored_metadata_that_no_answer_can_hold_is_a_damage(
    client: TestClient, make_image: Make, metadata: str
) -> None:
    assert add(client, make_image(1), '{"person_id": "anna"}').status_code == 200
    service: Any = service_of(client)
    with service.gallery()._store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE items SET metadata = ?", (metadata,))
    answer = client.get("/v1/items")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/gallery-damaged")
    assert client.delete("/v1/persons/anna").status_code == 202
    assert client.get("/v1/items").json()["items"] == []


def test_settings_name_cameras_that_can_be_written(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    answer = client.put("/v1/galleries/night", content='{"cameras": {"\\ud800": "c1"}}', headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("path", [f"{'x' * 129}/a.jpg", "a\x85b/a.jpg"])
def test_a_name_pattern_takes_no_bad_label(path: str) -> None:
    with pytest.raises(NamePatternError, match="camera_id"):
        labels_of_names([path], pattern=NamePattern.parse("{camera}/*"))
