"""The end of the process at every single failpoint of everything that writes: enumerated by watching it once, so that
what is added later is tried by itself. And what would not survive a power failure is found on the way."""

from __future__ import annotations

import shutil
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.service.crash.durability import Durability
from tests.service.crash.failpoints import end_at, watch
from tests.service.crash.processes import run
from tests.service.crash.scenarios import OPERATIONS, SCENARIOS
from tests.service.crash.worker import DOERS


def play(name: str, place: Path, failpoint: int | None, sender: Connection) -> None:
    """Play a scenario in a process of its own; without a failpoint to end at, report all failpoints."""
    failpoints: list[str] = []
    durability = Durability()
    on_failpoint = failpoints.append if failpoint is None else end_at(failpoint)
    begun = threading.Event()
    # Connections must be watched before they are made.
    watch(lambda what: on_failpoint(what) if begun.is_set() else None)

    def begin() -> None:
        if failpoint is None:
            durability.watch()
        begun.set()

    SCENARIOS[name].act(place, begin)
    sender.send((failpoints, durability.faults()))


def test_every_operation_has_a_scenario() -> None:
    assert {operation.kind for operation in OPERATIONS} == set(DOERS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_end_at_any_failpoint(name: str, place: Path, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    scenario.prepare(place)
    prepared = shutil.copytree(place, tmp_path / "prepared")
    [(failpoints, faults)], code = run(play, name, place, None)
    assert code == 0
    assert not faults, "a power failure could undo these"
    scenario.check(place)
    for number, failpoint in enumerate(failpoints):
        shutil.rmtree(place)
        shutil.copytree(prepared, place)
        assert run(play, name, place, number) == ([], -signal.SIGKILL)
        try:
            scenario.go_on(place, scenario.check(place))
        except BaseException as error:
            error.add_note(f"ended {failpoint} (failpoint {number} of {len(failpoints)})")
            raise
