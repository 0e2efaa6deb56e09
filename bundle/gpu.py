"""Detection of the GPU through NVIDIA's driver, without any other library."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from vitreid.bundle.errors import RuntimeMissing

DRIVER = "libcuda.so.1"
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU: its product name and its compute capability, such as (9, 0)."""

    name: str
    capability: tuple[int, int]


def first_gpu() -> Gpu:
    """Return the GPU that runs models, the first one of CUDA. Raises RuntimeMissing with what is missing."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        raise RuntimeMissing(
            f"there is no NVIDIA driver here ({DRIVER} does not load); install it, and give a container its GPU"
        ) from error
    _call(driver.cuInit(0), "finds no GPU")
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    _call(driver.cuDeviceGet(ctypes.byref(device), 0), "cannot open the GPU")
    _call(driver.cuDeviceGetName(name, len(name), device), "cannot name the GPU")
    return Gpu(name.value.decode(), (_attribute(driver, MAJOR, device), _attribute(driver, MINOR, device)))


def _attribute(driver: Any, number: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(driver.cuDeviceGetAttribute(ctypes.byref(value), number, device), "cannot describe the GPU")
    return value.value


def _call(code: int, problem: str) -> None:
    if code:
        raise RuntimeMissing(
            f"the NVIDIA driver {problem} (CUDA error {code}); check nvidia-smi, and give a container its GPU"
        )
