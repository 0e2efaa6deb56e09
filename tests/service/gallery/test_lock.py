"""The maintenance lock: one holder at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vitreid.service.gallery.errors import GalleryBusy, GalleryReadOnly
from vitreid.service.gallery.lock import MaintenanceLock

HOLDS = """
import sys, time
from pathlib import Path
from vitreid.service.gallery.lock import MaintenanceLock
lock = MaintenanceLock.acquire(Path(sys.argv[1]), "vitreid serve")
print("locked", flush=True)
time.sleep(600)
"""


def test_process_and_command_of_the_holder_are_reported(tmp_path: Path) -> None:
    first = MaintenanceLock.acquire(tmp_path, "vitreid serve")
    with pytest.raises(GalleryBusy, match=rf"locked by process {os.getpid()} \(vitreid serve\)"):
        MaintenanceLock.acquire(tmp_path, "vitreid gallery rebuild")
    first.release()
    MaintenanceLock.acquire(tmp_path, "vitreid gallery rebuild").release()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(GalleryBusy, match=f"process {process.pid}"):
            MaintenanceLock.acquire(tmp_path, "vitreid serve")
        process.send_signal(signal.SIGKILL)
        process.wait()
        MaintenanceLock.acquire(tmp_path, "vitreid serve").release()


def test_a_folder_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(GalleryReadOnly, match="cannot be written"):
        MaintenanceLock.acquire(tmp_path / "gone", "vitreid serve")
