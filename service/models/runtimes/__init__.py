"""Runtimes, which compute a bundle's embeddings. A new one is a file here and a line in RUNTIMES."""

from __future__ import annotations

import logging

from vitreid.bundle import Bundle
from vitreid.service.errors import UnknownName
from vitreid.service.models.runtimes.engine import EngineRuntime
from vitreid.service.models.runtimes.fake import FakeRuntime
from vitreid.service.models.runtimes.onnx import load_onnx
from vitreid.service.models.runtimes.openvino import OpenVinoRuntime
from vitreid.service.models.runtimes.protocol import Runtime, RuntimeChoice, RuntimeLoader

RUNTIMES: dict[str, RuntimeLoader] = {
    "engine": EngineRuntime,
    "fake": FakeRuntime,
    "onnx": load_onnx,
    "openvino": OpenVinoRuntime,
}
FOR_TESTS = frozenset({"fake"})
logger = logging.getLogger("vitreid")


def load_runtime(bundle: Bundle, choice: RuntimeChoice) -> Runtime:
    """Load the bundle's model as chosen. Raises UnknownName, BundleError."""
    if choice.runtime not in RUNTIMES:
        raise UnknownName.of("runtime", choice.runtime, [name for name in RUNTIMES if name not in FOR_TESTS])
    if choice.runtime in FOR_TESTS:
        logger.warning("the runtime %s is for tests: it compares mean colours and no persons", choice.runtime)
    return RUNTIMES[choice.runtime](bundle, choice)


__all__ = ["RUNTIMES", "Runtime", "RuntimeChoice", "RuntimeLoader", "load_runtime"]
