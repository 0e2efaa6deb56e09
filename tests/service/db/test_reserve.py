"""A full disk: what is kept for it, who gets it, and when it is kept again."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.application import service_of
from vitreid import cli
from vitreid.service.access.access import open_records
from vitreid.service.access.errors import AccessUnusable, Unauthorized
from vitreid.service.api.app import create_app
from vitreid.service.config import ServiceConfig
from vitreid.service.db import Reserve
from vitreid.service.db import reserve as module
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.errors import GalleryFull

Make = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}
MIB = 2**20


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Free space, as the reserve sees it."""
    found = {"bytes": 100 * MIB}
    monkeypatch.setattr(Reserve, "_free", lambda self: found["bytes"])
    return found


def test_room_is_set_aside_given_up_and_set_aside_again(tmp_path: Path, free: dict[str, int]) -> None:
    reserve = Reserve(tmp_path, MIB)
    assert reserve.fill()
    assert reserve.path.stat().st_blocks * 512 >= MIB
    free["bytes"] = 0
    assert reserve.shortage() is None  # the disk itself refuses what it has no room for
    assert reserve.release()
    assert not reserve.release()
    assert reserve.state() == "full: nothing can be added"
    assert "0 bytes left, and the last 2,097,152 are for" in str(reserve.shortage())
    free["bytes"] = 3 * MIB
    assert reserve.state() == "ok"
    assert reserve.path.exists()


def test_what_must_be_done_is_done_twice_at_most(tmp_path: Path, free: dict[str, int]) -> None:
    reserve = Reserve(tmp_path, MIB)
    reserve.fill()
    tried: list[bool] = []

    def until_released() -> str:
        tried.append(reserve.path.exists())
        if tried[-1]:
            raise AccessUnusable("full") from OSError(errno.ENOSPC, "full")
        return "done"

    def never() -> None:
        tried.append(True)
        raise GalleryFull("full") from OSError(errno.EDQUOT, "full")

    def otherwise_wrong() -> None:
        raise BadParameter("no")

    with pytest.raises(BadParameter):
        reserve.spend(otherwise_wrong)
    assert reserve.spend(until_released) == "done"
    assert tried == [True, False]
    with pytest.raises(GalleryFull):
        reserve.spend(never)  # nothing is left to be given up
    assert len(tried) == 3


def test_where_no_reserve_can_be_made_additions_go_on(
    tmp_path: Path, free: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(27, "File too large")

    monkeypatch.setattr("os.posix_fallocate", refused)
    reserve = Reserve(tmp_path, MIB)
    assert reserve.shortage() is None
    assert not reserve.path.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may mount nothing")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill_up(disk: Path) -> None:
    """Leave no byte on a disk."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (2**16, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                pass


@pytest.mark.slow
def test_a_service_on_a_full_disk(
    small_disk: Path, tiny_bundle: Path, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESERVE_BYTES", 2 * MIB)
    config = ServiceConfig(data=small_disk / "data", bundle=tiny_bundle, runtime="fake", threads=1)
    with TestClient(create_app(config), raise_server_exceptions=False, base_url="http://127.0.0.1") as client:
        files = [("images", (f"{seed}.jpg", make_image(seed))) for seed in range(8)]
        assert client.post("/v1/items", files=files).json()["added"] == 8
        fill_up(small_disk)
        for again in range(30):
            answer = client.post("/v1/query", content=make_image(1), headers=JPEG)
            assert answer.status_code == 200, (again, answer.text)
            added = client.post("/v1/items", files=[("images", ("new.jpg", make_image(100 + again)))])
            assert (added.status_code, added.json()["type"]) == (507, "/problems/gallery-full")
        assert client.put("/v1/galleries/new", json={}).json()["type"] == "/problems/gallery-full"
        assert client.put("/v1/galleries/default", json={}).status_code == 200
        assert client.post("/v1/erasures", json={"item_ids": [1, 2]}).status_code == 202
        assert client.delete("/v1/items/3").status_code == 204
        ready = client.get("/readyz").json()
        assert ready["checks"]["audit_log"] == "ok"
        assert ready["checks"]["room"].startswith("full")

        fill_up(small_disk)  # somebody else takes what was kept: now nothing can be recorded, and nobody is let in
        answers = [client.post("/v1/query", content=make_image(1), headers=JPEG) for _ in range(2000 // 20)]
        if answers[-1].status_code == 503:
            assert answers[-1].json()["type"] == "/problems/access-unusable"
            service_of(client).readiness._last = None
            assert client.get("/readyz").status_code == 503

        (small_disk / "filler").unlink()
        service_of(client).readiness._last = None
        assert client.get("/readyz").json()["checks"]["room"] == "ok"
        assert client.post("/v1/items", files=[("images", ("new.jpg", make_image(99)))]).json()["added"] == 1
        assert service_of(client).gallery().reserve.path.exists()


def test_a_key_is_revoked_on_a_full_disk(small_disk: Path) -> None:
    with open_records(small_disk, audit_days=1, create=True) as (keys, _):
        key, text = keys.create("lost", ["read"])
        assert Reserve(small_disk, 2 * MIB).fill()
        fill_up(small_disk)
        assert cli.run(["keys", "revoke", key.id, "--data", str(small_disk)]) == 0
        with pytest.raises(Unauthorized, match="was revoked"):
            keys.authenticate(text)
