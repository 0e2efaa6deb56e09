"""`kill -9` at any moment: what was acknowledged is there, nothing is half there, and the gallery goes on.

`make test` runs 20 rounds, `make crash` 500 (CRASH_ROUNDS), from CRASH_SEED on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from service.gallery import Gallery
from service.gallery.backup import MANIFEST, check_backup, drop_backup
from service.gallery.tables import backups
from tests.service.crash.actor import BUNDLE_ID, DIMENSION, DOERS, Round, act, backups_of, now
from tests.service.crash.checks import Rows, check_files, check_searches, rows_of
from tests.service.crash.history import Operation, State, then

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("CRASH_SEED", "0"))
IN_ONE_GALLERY = 5
LONGEST_DELAY_S = 0.01
MOMENTS = 60  # of an operation and what comes before it, about

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.service.crash.actor"])


@dataclass(frozen=True)
class Heard:
    """What the process said before it died."""

    state: State
    """After all that was acknowledged."""
    history: dict[int, State]
    """By last_seq."""
    begun: Operation | None
    """What was not acknowledged any more."""


def run(this: Round, random: Random, target: int) -> Heard:
    """Start the process of a round and hear it until it is dead; kill it after `target` operations."""
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=act, args=(this, sender))
    process.start()
    sender.close()
    state, begun, done = this.state, None, 0
    history = {state.last_seq: state}
    with receiver:
        while True:
            try:
                what, operation = receiver.recv()
            except EOFError:
                break
            begun = operation if what == "begun" else None if what == "done" else begun
            if what == "done":
                state, done = then(state, operation), done + 1
                history[state.last_seq] = state
            if this.moment is None and done >= target and what == "begun":
                time.sleep(random.uniform(0, LONGEST_DELAY_S))  # decides when it dies, not what must hold then
                process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    process.close()
    return Heard(state, history, begun)


def check(this: Round, heard: Heard) -> State:
    """The state that the gallery is in after the round, which one of two it must be."""
    states = [heard.state] + ([then(heard.state, heard.begun)] if heard.begun else [])
    with Gallery.open(this.folder, bundle_id=BUNDLE_ID, dimension=DIMENSION, index=this.index) as gallery:
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
    with gallery.store.database.reading() as connection:
        [row] = [row for row in connection.execute(backups.select()) if row.place == str(place)]
    if row.purged_at is None:
        drop_backup(gallery.store.database, row.id, now(), gone=not (place / MANIFEST).exists())
    if place.exists():
        place.rmdir()


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS // IN_ONE_GALLERY))
def test_what_was_acknowledged_survives_kill_9(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    state = State()
    index = random.choice(["exact", "flat"])
    kinds = sorted(DOERS)
    for number in range(IN_ONE_GALLERY):
        # Each kind of operation is the one that is interrupted in its turn.
        wanted = kinds[(seed * IN_ONE_GALLERY + number) % len(kinds)]
        before = tuple(random.choice(["add", "patch", "erase", "snapshot", "backup"]) for _ in range(3))
        by_itself = bool(number % 2)
        this = Round(
            folder=tmp_path / "gallery",
            index=index,
            state=state,
            seed=random.getrandbits(32),
            moment=random.randrange(MOMENTS * 3) if by_itself else None,
            beside=not by_itself and random.random() < 0.5,
            first=("add", *before, wanted),
        )
        state = check(this, run(this, random, target=4))
