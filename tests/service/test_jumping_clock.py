"""A clock that is set back and right again, under a whole service: nothing goes early, late or out of order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from vitreid.service.api.app import create_app
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.maintenance.scheduler import EXPIRE_EVERY_S, Scheduler

YEARS = timedelta(days=3650)


class Clocks:
    """The time of day, which jumps, and one that only runs."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.s = 1000.0

    def time(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.s

    def run(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.s += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def config(tmp_path: Path, tiny_bundle: Path) -> ServiceConfig:
    return ServiceConfig(data=tmp_path, bundle=tiny_bundle, runtime="fake", index="flat", audit_days=30)


@pytest.fixture
def service(config: ServiceConfig, clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """With all that asks for the time asking `clocks`; but for the limits of rates, which never ask for that of day."""
    with open_service(config) as opened:
        opened.maintenance.stop()
        opened.gallery()._store.clock = clocks.time
        monkeypatch.setattr(opened.access.audit, "_now", clocks.time)
        monkeypatch.setattr(opened.access.keys, "_now", clocks.time)
        yield opened


@pytest.fixture
def client(config: ServiceConfig, service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(config, service)) as started:
        yield started


@pytest.fixture
def look(service: Service, clocks: Clocks) -> Callable[[], None]:
    """Lets maintenance look after the galleries, some minutes after it last did."""
    maintenance = Scheduler(
        lambda: service.galleries.opened().values(), purge_after_s=0, now=clocks.time, monotonic=clocks.monotonic
    )

    def later() -> None:
        clocks.run(EXPIRE_EVERY_S)
        maintenance.run_due_jobs()

    return later


def add(client: TestClient, content: bytes, **labels: Any) -> int:
    files, data = {"images": ("a.jpg", content)}, {"metadata": json.dumps(labels)}
    [result] = client.post("/v1/items", files=files, data=data).json()["results"]
    return int(result["id"])


def items(client: TestClient) -> dict[int, dict[str, Any]]:
    return {item["id"]: item for item in client.get("/v1/items").json()["items"]}


def test_additions_and_their_times_stay_in_order(client: TestClient, clocks: Clocks, make_image: Any) -> None:
    ids = []
    for number, jump in enumerate([timedelta(0), -YEARS, timedelta(hours=1), YEARS, -YEARS]):
        clocks.now += jump
        ids.append(add(client, make_image(number)))
        assert client.patch(f"/v1/items/{ids[-1]}", json={"person_id": f"{number}"}).status_code == 200
    found = items(client)
    assert list(found) == ids == sorted(ids)
    made = [item["created_at"] for item in found.values()]
    assert made == sorted(made)
    first = client.post("/v1/query", content=make_image(1), headers={"content-type": "image/jpeg"}).json()
    assert first["matches"][0]["id"] == ids[1]


def test_retention_loses_nothing_early_and_keeps_nothing_late(
    client: TestClient, clocks: Clocks, look: Callable[[], None], make_image: Any
) -> None:
    assert client.put("/v1/galleries/default", json={"retention_days": 2}).status_code == 200
    old = add(client, make_image(1))
    clocks.now -= YEARS
    look()
    assert set(items(client)) == {old}  # by the wrong clock it comes from the future
    while_wrong = add(client, make_image(2), captured_at=clocks.now.isoformat())
    look()
    assert set(items(client)) == {old, while_wrong}
    clocks.now += YEARS + timedelta(days=1)
    look()
    assert old in items(client)
    clocks.now += timedelta(days=1)
    look()
    assert old not in items(client)
    page = client.get("/v1/erasures").json()["erasures"]
    assert {receipt["reason"] for receipt in page} == {"retention"}


FAR = datetime(2099, 1, 1, tzinfo=UTC)


def test_one_start_in_2099_does_not_stop_retention(
    client: TestClient, clocks: Clocks, look: Callable[[], None], make_image: Any
) -> None:
    assert client.put("/v1/galleries/default", json={"retention_days": 30}).status_code == 200
    right = clocks.now
    before = add(client, make_image(1))
    clocks.now = FAR
    ahead = add(client, make_image(2))
    look()
    assert set(items(client)) == {before, ahead}  # nothing expires by a clock that cannot be right
    clocks.now = right + timedelta(days=1)
    later = add(client, make_image(3))
    look()
    assert {made["created_at"][:4] for made in items(client).values()} == {str(right.year), str(clocks.now.year)}
    clocks.now += timedelta(days=31)
    look()
    assert not items(client).keys() & {before, ahead, later}


def test_items_of_a_clock_that_was_ahead_are_dated_anew(
    service: Service, client: TestClient, clocks: Clocks, look: Callable[[], None], make_image: Any
) -> None:
    assert client.put("/v1/galleries/default", json={"retention_days": 30}).status_code == 200
    old = add(client, make_image(1))
    with service.gallery()._store.database.writing() as connection:  # as a version before wrote it
        connection.exec_driver_sql("UPDATE items SET created_at = '2099-01-01T00:00:00.000000Z'")
        connection.exec_driver_sql("UPDATE gallery SET last_at = '2099-01-01T00:00:00.000000Z'")
    look()
    assert items(client)[old]["created_at"] < (clocks.now + timedelta(minutes=1)).isoformat()
    later = add(client, make_image(2))
    assert items(client)[later]["created_at"] < (clocks.now + timedelta(minutes=1)).isoformat()
    clocks.now += timedelta(days=31)
    look()
    assert items(client) == {}


def test_a_clock_that_was_ahead_by_years_does_not_date_what_comes_after_it(
    client: TestClient, clocks: Clocks, make_image: Any
) -> None:
    right = clocks.now
    clocks.now += timedelta(days=800)
    add(client, make_image(1))
    clocks.now = right + timedelta(hours=1)
    later = add(client, make_image(2))
    assert items(client)[later]["created_at"][:10] == f"{clocks.now:%Y-%m-%d}"


@pytest.mark.parametrize("year", [1970, 2099])
def test_a_wrong_clock_is_reported(
    service: Service, client: TestClient, clocks: Clocks, caplog: pytest.LogCaptureFixture, year: int
) -> None:
    assert client.put("/v1/galleries/default", json={"retention_days": 30}).status_code == 200
    clocks.now = datetime(year, 1, 1, tzinfo=UTC)
    service.maintenance._now = clocks.time
    service.maintenance._stopping.clear()
    service.maintenance._not_before.clear()
    service.maintenance.run_due_jobs()
    said = f"gallery default: retention waits: the clock shows {year}-01-01, which cannot be right; set the clock"
    assert client.get("/v1/info").json()["warnings"] == [said]
    assert said in caplog.messages
    clocks.now = datetime.now(UTC)
    service.maintenance._not_before.clear()
    service.maintenance.run_due_jobs()
    assert client.get("/v1/info").json()["warnings"] == []


def test_receipts_of_an_impossible_clock_have_the_last_believable_times(
    client: TestClient, clocks: Clocks, look: Callable[[], None], make_image: Any
) -> None:
    right, first = clocks.now, add(client, make_image(1))
    clocks.now = FAR
    receipt = client.post("/v1/erasures", json={"item_ids": [first]}).json()["id"]
    look()
    told = client.get(f"/v1/erasures/{receipt}").json()
    for name in ("requested_at", "unsearchable_at", "purged_at"):
        assert told[name][:10] == f"{right:%Y-%m-%d}"


@pytest.mark.slow
def test_the_audit_log_is_not_emptied_by_a_clock_in_2099(client: TestClient, clocks: Clocks) -> None:
    right = clocks.now
    assert client.get("/v1/items").status_code == 200
    clocks.now = FAR
    assert client.get("/v1/items").status_code == 200
    clocks.now = right + timedelta(hours=2)
    rows = client.get("/v1/audit").json()["rows"]
    assert [row["id"] for row in rows] == [1, 2]
    assert {row["at"][:4] for row in rows} == {str(right.year)}


def test_rows_of_2099_go_with_those_after_them(client: TestClient, clocks: Clocks, service: Service) -> None:
    for _ in range(2):
        assert client.get("/v1/items").status_code == 200
    with service.access.audit._database.writing() as connection:
        connection.exec_driver_sql("UPDATE audit SET at = '2099-01-01T00:00:00.000000Z' WHERE id = 1")
    clocks.now += timedelta(days=31)
    assert client.get("/v1/items").status_code == 200
    assert [row["id"] for row in client.get("/v1/audit").json()["rows"]] == [3]


def test_a_clock_that_is_set_back_revives_no_key(client: TestClient, clocks: Clocks, service: Service) -> None:
    _, text = service.access.keys.create("guest", ["read"], expires_in=timedelta(days=1))
    headers = {"Authorization": f"Bearer {text}"}
    clocks.now += timedelta(days=2)
    assert client.get("/v1/items", headers=headers).status_code == 401
    clocks.now -= YEARS
    answer = client.get("/v1/items", headers=headers)
    assert answer.status_code == 401
    assert "set the clock" in answer.json()["detail"]


def test_no_key_that_expires_is_made_in_2099(clocks: Clocks, service: Service) -> None:
    clocks.now = FAR
    with pytest.raises(BadParameter, match="the clock shows 2099-01-01"):
        service.access.keys.create("guest", ["read"], expires_in=timedelta(days=1))


def test_receipts_tell_times_in_order(
    client: TestClient, clocks: Clocks, look: Callable[[], None], make_image: Any
) -> None:
    receipts = []
    for number, jump in enumerate([timedelta(0), -YEARS, YEARS, -YEARS]):
        clocks.now += jump
        receipts.append(client.post("/v1/erasures", json={"item_ids": [add(client, make_image(number))]}).json()["id"])
        clocks.now -= timedelta(days=1)
        look()
    told = [client.get(f"/v1/erasures/{receipt}").json() for receipt in receipts]
    for receipt in told:
        assert receipt["requested_at"] <= receipt["unsearchable_at"] <= receipt["purged_at"]
    assert [receipt["seq"] for receipt in told] == sorted(receipt["seq"] for receipt in told)
    assert [receipt["id"] for receipt in client.get("/v1/erasures").json()["erasures"]] == receipts[::-1]


def test_the_audit_log_goes_on_and_keeps_its_period(client: TestClient, clocks: Clocks) -> None:
    for jump in (timedelta(0), -timedelta(days=20), timedelta(days=20)):
        clocks.now += jump
        assert client.get("/v1/items").status_code == 200
    rows = client.get("/v1/audit").json()["rows"]
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert rows[1]["at"] < rows[0]["at"] == rows[2]["at"]
    clocks.now += timedelta(days=11)  # by then what was recorded at the wrong time is 31 days old, the others 11
    client.get("/v1/items")
    assert [row["id"] for row in client.get("/v1/audit").json()["rows"]][:2] == [1, 3]


def test_a_key_that_was_made_while_the_clock_was_wrong(client: TestClient, clocks: Clocks, service: Service) -> None:
    clocks.now -= YEARS
    _, text = service.access.keys.create("early", ["read"], expires_in=timedelta(days=1))
    headers = {"Authorization": f"Bearer {text}"}
    assert client.get("/v1/items", headers=headers).status_code == 200
    clocks.now += YEARS
    assert client.get("/v1/items", headers=headers).status_code == 401


@pytest.mark.parametrize("jump", [YEARS, -YEARS])
def test_limits_of_rates_do_not_heed_the_time_of_day(
    jump: timedelta, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ServiceConfig(data=tmp_path, bundle=tiny_bundle, runtime="fake", rate_per_s=1e-6, rate_burst=2)
    with TestClient(create_app(config)) as client:
        assert client.get("/v1/items").status_code == 200
        jumped = time.time() + jump.total_seconds()
        monkeypatch.setattr(time, "time", lambda: jumped)
        assert [client.get("/v1/items").status_code for _ in range(2)] == [200, 429]
