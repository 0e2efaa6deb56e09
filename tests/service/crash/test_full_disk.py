"""A disk that takes no more, at several sizes: a typed error, nothing is half there, and all goes on with room."""

from __future__ import annotations

import resource
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.service.crash.processes import run
from tests.service.crash.scenarios import SCENARIOS
from vitreid.service.access.errors import AccessUnusable
from vitreid.service.gallery.errors import GalleryFull

LIMITS = (0, 3000, 20_000, 60_000, 90_000)
"""Bytes that a file may have, from none to nearly those of the database."""


def limit_files(limit: int) -> None:
    """Let no file of this process grow beyond this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def squeeze(name: str, place: Path, limit: int, sender: Connection) -> None:
    """Act out a scenario with little room."""
    try:
        SCENARIOS[name].act(place, lambda: limit_files(limit))
    except (GalleryFull, AccessUnusable) as error:
        limit_files(resource.RLIM_INFINITY)
        sender.send(str(error))


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_room_is_reported_and_nothing_is_lost(name: str, place: Path) -> None:
    scenario = SCENARIOS[name]
    scenario.prepare(place)
    for limit in LIMITS:
        messages, code = run(squeeze, name, place, limit)
        assert code == 0
        for message in messages:
            assert "\n" not in message
            assert "disk" in message or "room" in message
        found = scenario.check(place)
        if not messages:
            break
    scenario.go_on(place, found)
