"""Detection of a GPU, with a fake driver and with the real one if there is one."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from vitreid.bundle.errors import RuntimeMissing
from vitreid.bundle.gpu import Gpu, first_gpu


def fake_driver(wrong: str = "") -> SimpleNamespace:
    """Return a fake of libcuda: it answers through pointers and returns 0 on success."""

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


def test_name_and_compute_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake_driver())
    assert first_gpu() == Gpu("NVIDIA H200", (9, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [("cuInit", r"finds no GPU \(CUDA error 100\)"), ("cuDeviceGet", r"cannot open the GPU \(CUDA error 101\)")],
)
def test_a_driver_without_a_gpu_is_reported(monkeypatch: pytest.MonkeyPatch, call: str, message: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake_driver(call))
    with pytest.raises(RuntimeMissing, match=f"the NVIDIA driver {message}; check nvidia-smi"):
        first_gpu()


def test_a_missing_driver_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
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
@pytest.mark.skipif(problem() is not None, reason=f"no usable GPU: {problem()}")
def test_the_real_gpu() -> None:
    gpu = first_gpu()
    assert gpu.name
    assert gpu.capability >= (5, 0)
