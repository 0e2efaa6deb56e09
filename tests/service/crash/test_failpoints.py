"""The end of the process at every single moment of everything that writes: enumerated by watching it once, so that
what is added later is tried by itself. And what would not survive a power failure is found on the way."""

from __future__ import annotations

import shutil
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.service.crash.actor import DOERS
from tests.service.crash.durability import Durability
from tests.service.crash.moments import end_at, watch
from tests.service.crash.processes import run
from tests.service.crash.scenes import OPERATIONS, SCENES


def play(name: str, place: Path, moment: int | None, sender: Connection) -> None:
    """Act out a scene in a process of its own; without a moment to end at, tell all moments."""
    moments: list[str] = []
    durability = Durability()
    hear = moments.append if moment is None else end_at(moment)
    begun = threading.Event()
    watch(lambda what: hear(what) if begun.is_set() else None)  # connections must be watched before they are made

    def begin() -> None:
        if moment is None:
            durability.watch()
        begun.set()

    SCENES[name].act(place, begin)
    sender.send((moments, durability.faults()))


def test_every_operation_has_a_scene() -> None:
    assert {operation.kind for operation in OPERATIONS} == set(DOERS)


@pytest.mark.parametrize("name", SCENES)
def test_the_end_at_any_moment(name: str, place: Path, tmp_path: Path) -> None:
    scene = SCENES[name]
    scene.prepare(place)
    prepared = shutil.copytree(place, tmp_path / "prepared")
    [(moments, faults)], code = run(play, name, place, None)
    assert code == 0
    assert not faults, "a power failure could undo these"
    scene.check(place)
    for number, moment in enumerate(moments):
        shutil.rmtree(place)
        shutil.copytree(prepared, place)
        assert run(play, name, place, number) == ([], -signal.SIGKILL)
        try:
            scene.go_on(place, scene.check(place))
        except BaseException as error:
            error.add_note(f"ended {moment} (moment {number} of {len(moments)})")
            raise
