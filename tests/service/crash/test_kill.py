"""`kill -9` at any failpoint: what was acknowledged is there, nothing is half there, and the gallery goes on.

`make test` runs 20 rounds, `make crash` 500 (CRASH_ROUNDS), from CRASH_SEED on.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import pytest

from tests.service.crash.checks import Rows, check_files, check_searches, rows_of
from tests.service.crash.history import Operation, State, then
from tests.service.crash.processes import run
from tests.service.crash.worker import DOERS, Round, act, backups_of, now, open_gallery
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.maintenance.backup import MANIFEST, check_backup, drop_backup
from vitreid.service.gallery.rows.tables import backups

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("CRASH_SEED", "0"))
IN_ONE_GALLERY = 5
LONGEST_DELAY_S = 0.01
FAILPOINTS = 60  # of an operation and what comes before it, about


@dataclass(frozen=True)
class Heard:
    """Output of the process before it died."""

    state: State
    """After all that was acknowledged."""
    history: dict[int, State]
    """By last_seq."""
    begun: Operation | None
    """What was not acknowledged any more."""


def listen(this: Round, random: Random, target: int) -> Heard:
    """Run the process of a round until it is dead; it is killed after `target` operations, or kills itself."""

    def kill(messages: list[tuple[str, Operation]], process: BaseProcess) -> None:
        done = sum(what == "done" for what, _ in messages)
        if this.failpoint is None and done >= target and messages[-1][0] == "begun":
            time.sleep(random.uniform(0, LONGEST_DELAY_S))  # decides when it dies, not what must hold then
            process.kill()

    messages, code = run(act, this, on_message=kill)
    assert code == -signal.SIGKILL
    state, begun = this.state, None
    history = {state.last_seq: state}
    for what, operation in messages:
        if what == "begun":
            begun = operation
        elif what == "done":
            state, begun = then(state, operation), None
            history[state.last_seq] = state
    return Heard(state, history, begun)


def check(this: Round, heard: Heard) -> State:
    """The state that the gallery is in after the round, which one of two it must be."""
    states = [heard.state] + ([then(heard.state, heard.begun)] if heard.begun else [])
    with open_gallery(this.folder, this.index) as gallery:
        rows = rows_of(this.folder / "gallery.db")
        found = next((state for state in reversed(states) if rows.are(state)), None)
        assert found is not None, f"{rows} is neither of {states}"
        check_searches(gallery, rows.items)
        if heard.begun and heard.begun.kind == "drop_backup":
            finish_dropping(gallery, backups_of(this.folder) / heard.begun.given["name"])
            rows = rows_of(this.folder / "gallery.db")
    check_files(this.folder, rows, found)
    return check_backups(backups_of(this.folder), rows, found, heard)


def check_backups(place: Path, rows: Rows, found: State, heard: Heard) -> State:
    """Those that were acknowledged are whole, and none that is there is not listed."""
    begun = heard.begun or Operation("nothing")
    there = {path.name for path in place.glob("[!.]*")}
    assert there <= rows.backups
    assert set(found.backups) - {begun.given.get("name")} <= there
    kept = {}
    for name in there:
        manifest = check_backup(place / name)
        kept[name] = found.backups.get(name) or heard.history[manifest.seq]
        assert rows_of(place / name / "gallery.db").items == kept[name].items
    return replace(found, backups=kept)


def finish_dropping(gallery: Gallery, place: Path) -> None:
    """A removal that was cut short can be repeated; what it left then is nothing but an empty folder."""
    with gallery._store.database.reading() as connection:
        [row] = [row for row in connection.execute(backups.select()) if row.place == str(place)]
    if row.purged_at is None:
        drop_backup(gallery, row.id, now(), gone=not (place / MANIFEST).exists())
    if place.exists():
        place.rmdir()


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS // IN_ONE_GALLERY))
def test_what_was_acknowledged_survives_kill_9(seed: int, place: Path) -> None:
    random = Random(seed)
    state = State()
    index = random.choice(["exact", "flat"])
    kinds = sorted(DOERS)
    for number in range(IN_ONE_GALLERY):
        # Each kind of operation is the one that is interrupted in its turn.
        wanted = kinds[(seed * IN_ONE_GALLERY + number) % len(kinds)]
        before = tuple(random.choice(["add", "update", "erase", "snapshot", "backup"]) for _ in range(3))
        by_itself = bool(number % 2)
        this = Round(
            folder=place / "gallery",
            index=index,
            state=state,
            seed=random.getrandbits(32),
            failpoint=random.randrange(FAILPOINTS * 3) if by_itself else None,
            beside=not by_itself and random.random() < 0.5,
            first=("add", *before, wanted),
        )
        state = check(this, listen(this, random, target=4))
