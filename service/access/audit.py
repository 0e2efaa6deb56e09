"""The audit log: the caller, action, time and items of each request. Never an image, never an embedding."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, select

from vitreid.service.access.database import AccessDatabase, audit
from vitreid.service.access.principal import Principal
from vitreid.service.db import Reserve, stored_time, utc_text
from vitreid.service.values.times import HORIZON, believable, utc_now

VIEW = "view-image"
TOGETHER = timedelta(seconds=60)
MAX_ITEMS = 100
ADD = "UPDATE audit SET items = json_insert(items, '$[#]', json(?)) WHERE id = ? RETURNING id"


@dataclass
class _Row:
    id: int
    since: datetime
    items: int


class Views:
    """Rows of viewed images: one row per caller and gallery, for a minute and up to 100 items.

    Every item is committed before its image is sent. Reading the log closes the open rows, so that a row that was read
    does not change.
    """

    def __init__(self, database: AccessDatabase) -> None:
        self._database = database
        self._open: dict[Hashable, _Row] = {}
        self._turn = threading.Lock()

    def record(self, who: Hashable, items: list[int], at: datetime, insert: str, row: tuple[object, ...]) -> None:
        """Add the items to the open row of `who`, or begin one with `insert` and `row`. Raises AccessUnusable."""
        with self._turn:
            found = self._open.get(who)
            if found is not None and abs(at - found.since) < TOGETHER and found.items < MAX_ITEMS:
                added = [self._database.write_quickly(ADD, json.dumps(item), found.id) for item in items]
                if all(added):
                    found.items += len(items)
                    return
            self._open = {key: each for key, each in self._open.items() if abs(at - each.since) < TOGETHER}
            [(row_id,)] = self._database.write_quickly(f"{insert} RETURNING id", *row)
            self._open[who] = _Row(row_id, at, len(items))

    def close(self) -> None:
        """Let the next image begin a row."""
        with self._turn:
            self._open.clear()


COMMAND_LINE = "command line"
SHOWN = 200
OTHER = "other"  # the action of what is recorded only where it was refused
DURABLE = frozenset({"erase", "erase-person", "key-create", "key-revoke", "gallery-drop"})
COLUMNS = tuple(column.name for column in audit.columns if column is not audit.c.id)
INSERT = f"INSERT INTO audit ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
PRUNE = "DELETE FROM audit WHERE at < ?"
# Rows of an impossible time go with the rows that were recorded after them.
PRUNE_IMPOSSIBLE = "DELETE FROM audit WHERE at >= ? AND id < (SELECT max(id) FROM audit WHERE at < ?)"
PRUNE_EVERY = timedelta(hours=1)
USE_NOTED_EVERY = timedelta(hours=1)
ROWS_AT_ONCE = 1000


@dataclass
class Entry:
    """A row to record; `status` is that of the answer, None for a command that succeeded."""

    action: str
    name: str = COMMAND_LINE
    key_id: str | None = None
    request_id: str | None = None
    address: str | None = None
    gallery: str | None = None
    items: list[int] = field(default_factory=list)
    person_id: str | None = None
    status: int | None = None

    def by(self, principal: Principal) -> None:
        """Set the caller."""
        self.key_id, self.name = principal.key_id, principal.name


@dataclass(frozen=True)
class Recorded:
    """A recorded row. `items` are ids; `person_id` is the label of the request, if it named one."""

    id: int
    at: datetime
    request_id: str | None
    key_id: str | None
    name: str
    address: str | None
    action: str
    gallery: str | None
    items: list[int]
    person_id: str | None
    status: int | None


@dataclass(frozen=True)
class AuditFilter:
    """A filter of rows; all conditions must hold."""

    since: datetime | None = None
    until: datetime | None = None
    key_id: str | None = None
    action: str | None = None


class AuditLog:
    """The log: rows are added, and pruned after `days`; only `Views` change one."""

    def __init__(
        self,
        database: AccessDatabase,
        *,
        days: int,
        now: Callable[[], datetime] = utc_now,
        reserve: Reserve | None = None,
    ) -> None:
        self._database = database
        self._reserve = reserve
        self._max_age = timedelta(days=days)
        self._now = now
        self._views = Views(database)
        self._pruned: datetime | None = None
        self._last: datetime | None = None
        self._used: dict[str, datetime] = {}  # when the use of a key was last noted; as many as there are keys

    def record(self, entry: Entry) -> None:
        """Add a row, committed on return. Raises AccessUnusable.

        DURABLE actions are on disk then; a power failure may lose the last rows of others. On a full disk it uses the
        reserve.
        """
        self._spend(lambda: self._record(entry))

    def check(self) -> str:
        """Test that a row could be written; return "ok". Raises AccessUnusable."""
        self._spend(self._database.check_writable)
        return "ok"

    def _record(self, entry: Entry) -> None:
        at = self._at()
        values = {**vars(entry), "items": json.dumps(entry.items), "at": utc_text(at)}
        row = tuple(values[name] for name in COLUMNS)
        if entry.action in DURABLE:
            with self._database.writing() as connection:
                connection.exec_driver_sql(INSERT, row)
        elif entry.action == VIEW and entry.status == SHOWN:
            who = (entry.key_id, entry.name, entry.address, entry.gallery)
            self._views.record(who, entry.items, at, INSERT, row)
        else:
            self._database.write_quickly(INSERT, *row)
        if self._pruned is None or abs(at - self._pruned) >= PRUNE_EVERY:
            end = utc_text(at - self._max_age)
            self._database.write_quickly(PRUNE_IMPOSSIBLE, utc_text(HORIZON), end)
            self._database.write_quickly(PRUNE, end)
            self._pruned = at

    def _at(self) -> datetime:
        """Return the time of the next row; an implausible clock neither dates rows nor lets them expire."""
        if self._last is None:
            newest = self._database.look_up("SELECT at FROM audit ORDER BY id DESC LIMIT 1")
            self._last = stored_time(newest[0][0]) if newest else self._now()
        self._last = believable(self._now(), self._last)
        return self._last

    def note_use(self, key_id: str) -> None:
        """Record the last use of a key, to the hour, since a write per request would be slow."""
        at = self._now()
        noted = self._used.get(key_id)
        if noted is None or abs(at - noted) >= USE_NOTED_EVERY:
            noting = ("UPDATE keys SET last_used_at = ? WHERE id = ?", utc_text(at), key_id)
            self._spend(lambda: self._database.write_quickly(*noting))
            self._used[key_id] = at

    def _spend(self, task: Callable[[], object]) -> None:
        if self._reserve is None:
            task()
        else:
            self._reserve.spend(task)

    def page(self, wanted: AuditFilter, *, after: int = 0, limit: int = ROWS_AT_ONCE) -> list[Recorded]:
        """Return up to `limit` rows with ids greater than `after`, in the order of recording."""
        self._views.close()
        with self._database.reading() as connection:
            return [_recorded(row) for row in connection.execute(_select(wanted, after).limit(limit))]

    def every(self, wanted: AuditFilter, *, after: int = 0) -> Iterator[Recorded]:
        """Yield all rows after `after`, read in pages, so that no transaction stays open."""
        while page := self.page(wanted, after=after):
            yield from page
            after = page[-1].id


def json_lines(rows: Iterable[Recorded]) -> Iterator[str]:
    """Yield each row as a line of JSON, with the names and texts that the API uses."""
    for row in rows:
        yield json.dumps({**asdict(row), "at": row.at.isoformat().replace("+00:00", "Z")}) + "\n"


def _select(wanted: AuditFilter, after: int) -> Select[Any]:
    rows = select(audit).where(audit.c.id > after).order_by(audit.c.id)
    if wanted.since is not None:
        rows = rows.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        rows = rows.where(audit.c.at < wanted.until)
    for column, value in ((audit.c.key_id, wanted.key_id), (audit.c.action, wanted.action)):
        if value is not None:
            rows = rows.where(column == value)
    return rows


def _recorded(row: Row[Any]) -> Recorded:
    return Recorded(**row._asdict())
