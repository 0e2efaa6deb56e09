"""Rows of the audit log about images that were looked at: a page of them is one row, and not one for each."""

from __future__ import annotations

import json
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

from vitreid.service.access.database import AccessDatabase

VIEW = "view-image"
TOGETHER = timedelta(seconds=60)
MOST = 100
ADD = "UPDATE audit SET items = json_insert(items, '$[#]', json(?)) WHERE id = ? RETURNING id"


@dataclass
class _Row:
    id: int
    since: datetime
    items: int


class Views:
    """Adds what one caller looks at in one gallery to one row, for a minute and up to 100 items.

    Every item is committed before its image is sent. Who reads the log closes the rows that are open: one that was
    read does not change.
    """

    def __init__(self, database: AccessDatabase) -> None:
        self._database = database
        self._open: dict[Hashable, _Row] = {}
        self._turn = threading.Lock()

    def record(self, who: Hashable, items: list[int], at: datetime, insert: str, row: tuple[object, ...]) -> None:
        """Add the items to the open row of `who`, or begin one with `insert` and `row`. Raises AccessUnusable."""
        with self._turn:
            found = self._open.get(who)
            if found is not None and abs(at - found.since) < TOGETHER and found.items < MOST:
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
