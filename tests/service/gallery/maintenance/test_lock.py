"""One keeper at a time, whoever asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vitreid.service.gallery.errors import GalleryBusy, GalleryReadOnly
from vitreid.service.gallery.maintenance.lock import MaintenanceLock

KEEPS = """
import sys, time
from pathlib import Path
from vitreid.service.gallery.maintenance.lock import MaintenanceLock
keeper = MaintenanceLock.take(Path(sys.argv[1]), "vitreid serve")
print("kept", flush=True)
time.sleep(600)
"""


def test_a_second_keeper_is_told_process_and_command(tmp_path: Path) -> None:
    first = MaintenanceLock.take(tmp_path, "vitreid serve")
    with pytest.raises(GalleryBusy, match=rf"kept by process {os.getpid()} \(vitreid serve\)"):
        MaintenanceLock.take(tmp_path, "vitreid gallery rebuild")
    first.release()
    MaintenanceLock.take(tmp_path, "vitreid gallery rebuild").release()


def test_a_killed_keeper_keeps_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KEEPS, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"kept\n"
        with pytest.raises(GalleryBusy, match=f"process {process.pid}"):
            MaintenanceLock.take(tmp_path, "vitreid serve")
        process.send_signal(signal.SIGKILL)
        process.wait()
        MaintenanceLock.take(tmp_path, "vitreid serve").release()


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(GalleryReadOnly, match="cannot be written"):
        MaintenanceLock.take(tmp_path / "gone", "vitreid serve")
