"""The peak memory of a process does not include that of its parent."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from benchmarks.memory import peak_mib

MIB = 2**20


def test_a_peak_stays() -> None:
    before = peak_mib()
    np.ones(64 * MIB, dtype=np.uint8)
    assert peak_mib() >= before
    assert peak_mib() > 64


def test_a_child_process_has_its_own_peak() -> None:
    held = np.ones(512 * MIB, dtype=np.uint8)
    assert peak_mib() > 512
    code = "from benchmarks.memory import peak_mib; print(peak_mib())"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert 0 < float(output) < 256
    assert held.all()
