"""What the driver tells of a GPU: of one that is made up, and of the real one where there is one."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from vitreid.bundle.errors import RuntimeMissing
from vitreid.bundle.gpu import Gpu, first_gpu


def made_up_driver(wrong: str = "") -> SimpleNamespace:
    """It answers as libcuda does: by pointers, with 0 where nothing is wrong."""

    def answer(call: str, pointer: Any, value: int) -> int:
        pointer._obj.value = value
        return 101 if call == wrong else 0

    def name_of(name: Any, length: int, device: ctypes.c_int) -> int:
        assert device.value == 40
        name.value = b"NVIDIA H200"[: length - 1]
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: 100 if wrong == "cuInit" else 0,
        cuDeviceGet=lambda device, ordinal: answer("cuDeviceGet", device, 40 + ordinal),
        cuDeviceGetName=name_of,
        cuDeviceGetAttribute=lambda value, number, device: answer("attribute", value, {75: 9, 76: 0}[number]),
    )


def test_name_and_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: made_up_driver())
    assert first_gpu() == Gpu("NVIDIA H200", (9, 0))


@pytest.mark.parametrize(
    ("call", "told"),
    [("cuInit", r"sees no GPU \(CUDA error 100\)"), ("cuDeviceGet", r"gives no GPU \(CUDA error 101\)")],
)
def test_a_driver_without_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch, call: str, told: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: made_up_driver(call))
    with pytest.raises(RuntimeMissing, match=f"the NVIDIA driver {told}; check nvidia-smi"):
        first_gpu()


def test_no_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(RuntimeMissing, match=r"no NVIDIA driver here \(libcuda.so.1 does not load\)"):
        first_gpu()


def problem() -> str | None:
    try:
        first_gpu()
    except RuntimeMissing as missing:
        return str(missing)
    return None


@pytest.mark.gpu
@pytest.mark.skipif(problem() is not None, reason=f"no GPU can be used: {problem()}")
def test_the_real_one() -> None:
    gpu = first_gpu()
    assert gpu.name
    assert gpu.capability >= (5, 0)
