"""Fakes of TensorRT 10 and 11 and of CUDA, which compute with onnxruntime and need no GPU.

Work that is queued on a stream is done when the stream is synchronised, the latest moment that a GPU allows.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from vitreid.bundle import Bundle
from vitreid.bundle.gpu import Gpu
from vitreid.bundle.run import expected_inputs

GPU = Gpu("NVIDIA H200", (9, 0))
VERSIONS = {10: "10.16.1.11", 11: "11.4.0.106"}


class FakeMachine:
    """State of the fake machine: settings of the test, and a record of the calls."""

    def __init__(self, major: int) -> None:
        self.version = VERSIONS[major]
        self.major = major
        self.calls: list[tuple[Any, ...]] = []
        self.queue: list[Callable[[], Any]] = []
        self.memory: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.parse_errors: list[str] = []
        self.build_errors: list[str] = []
        self.noise = 0.0
        self.cuda_error = 0
        self.full = False


def install(monkeypatch: pytest.MonkeyPatch, major: int = 10) -> FakeMachine:
    """Install the fakes of `tensorrt`, cuda-python and the GPU."""
    made = FakeMachine(major)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt_of(made))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda_of(made))
    monkeypatch.setattr("vitreid.bundle.run_engine.first_gpu", lambda: GPU)
    return made


def plan_of(bundle: Bundle, major: int = 10, *, largest: int = 4) -> bytes:
    """Return the engine of a bundle as this version of TensorRT writes it, for at most `largest` images."""
    made = FakeMachine(major)
    network = SimpleNamespace(content=bundle.model_path.read_bytes())
    config = Config(made)
    for name, (_, shape) in expected_inputs(bundle.manifest).items():
        config.shapes.set_shape(name, *([size, *shape] for size in (1, 2, largest)))
    plan = Builder(made, None).build_serialized_network(network, config)
    assert plan is not None
    return bytes(plan)


# ---- CUDA


def cuda_of(made: FakeMachine) -> ModuleType:
    def malloc(size: int) -> tuple[int, int]:
        buffer = ctypes.create_string_buffer(size)
        made.memory[ctypes.addressof(buffer)] = buffer
        return made.cuda_error, ctypes.addressof(buffer)

    def copy(target: int, source: int, size: int, kind: str, stream: int) -> tuple[int]:
        assert stream == 7
        device = {"up": target, "down": source}[kind]
        assert size <= len(made.memory[device])
        made.queue.append(lambda: ctypes.memmove(target, source, size))
        return (0,)

    def synchronise(stream: int) -> tuple[int]:
        assert stream == 7
        while made.queue:
            made.queue.pop(0)()
        return (0,)

    module = ModuleType("cuda.bindings.runtime")
    vars(module).update(
        cudaStreamCreate=lambda: (0, 7),
        cudaMalloc=malloc,
        cudaMemcpyAsync=copy,
        cudaStreamSynchronize=synchronise,
        cudaMemcpyKind=SimpleNamespace(cudaMemcpyHostToDevice="up", cudaMemcpyDeviceToHost="down"),
    )
    return module


# ---- TensorRT


def tensorrt_of(made: FakeMachine) -> ModuleType:
    """Return a module with the names of this version's bindings that building and running need."""
    module = ModuleType("tensorrt")
    vars(module).update(
        __version__=made.version,
        ILogger=ILogger,
        Logger=Logger,
        Builder=partial(Builder, made),
        OnnxParser=partial(OnnxParser, made),
        Runtime=partial(Runtime, made),
        NetworkDefinitionCreationFlag=NetworkDefinitionCreationFlag,
        # Version 11 has no flags of precisions; in version 10 a strongly typed network does not accept them.
        BuilderFlag=SimpleNamespace(TF32="TF32", **({"FP16": "FP16"} if made.major == 10 else {})),
    )
    return module


class NetworkDefinitionCreationFlag(IntEnum):
    """Version 11 takes the flag and ignores it."""

    STRONGLY_TYPED = 1


class Severity(IntEnum):
    """The severity of a message."""

    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    """The base class of loggers."""

    Severity = Severity


class Logger(ILogger):
    """A logger that would print."""

    ERROR = Severity.ERROR

    def __init__(self, severity: Severity) -> None:
        self.severity = severity


class OnnxParser:
    """A parser of ONNX files into networks."""

    def __init__(self, made: FakeMachine, network: SimpleNamespace, logger: Any) -> None:
        self._made, self._network = made, network
        self.num_errors = len(made.parse_errors)

    def get_error(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(desc=lambda: self._made.parse_errors[index])

    def parse_from_file(self, path: str) -> bool:
        self._network.content = Path(path).read_bytes()
        return not self._made.parse_errors


class Builder:
    """A builder of engines: version, shapes and graph."""

    def __init__(self, made: FakeMachine, logger: Any) -> None:
        self._made, self._logger = made, logger

    def create_network(self, flags: int = 0) -> SimpleNamespace:
        self._made.calls.append(("create_network", flags))
        return SimpleNamespace(content=b"")

    def create_builder_config(self) -> Config:
        return Config(self._made)

    def create_optimization_profile(self) -> Shapes:
        return Shapes()

    def build_serialized_network(self, network: SimpleNamespace, config: Config) -> memoryview | None:
        made = self._made
        made.calls.append(("build", config.cache and config.cache.content))
        for message in made.build_errors:
            self._logger.log(Severity.INFO, "nothing to speak of")
            self._logger.log(Severity.ERROR, message)
        if config.cache:
            config.cache.content = made.version.encode()
        plan = json.dumps([made.version, config.shapes.shapes]).encode() + b"\n" + network.content
        return None if made.build_errors else memoryview(plan)


class Runtime:
    """A loader of engines."""

    def __init__(self, made: FakeMachine, logger: Logger) -> None:
        self._made = made

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        head, _, graph = plan.partition(b"\n")
        version, shapes = json.loads(head)
        return Engine(self._made, graph, shapes) if version == self._made.version else None


class Shapes:
    """An optimisation profile."""

    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, smallest: Any, usual: Any, largest: Any) -> None:
        self.shapes[name] = (smallest, usual, largest)


class Cache:
    """A timing cache; one of another version does not match."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> memoryview:
        return memoryview(self.content)


class Config:
    """The settings of a builder."""

    def __init__(self, made: FakeMachine) -> None:
        self._made = made
        self.shapes = Shapes()
        self.cache: Cache | None = None

    def clear_flag(self, flag: str) -> None:
        self._made.calls.append(("clear_flag", flag))

    def set_flag(self, flag: str) -> None:
        raise AssertionError(f"a strongly typed network takes no {flag}")

    def add_optimization_profile(self, shapes: Shapes) -> int:
        self.shapes = shapes
        return 0

    def create_timing_cache(self, content: bytes) -> Cache:
        return Cache(content)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        if cache.content not in (b"", self._made.version.encode()) and not ignore_mismatch:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> Cache | None:
        return self.cache


class Engine:
    """An engine whose graph is run by onnxruntime."""

    def __init__(self, made: FakeMachine, graph: bytes, shapes: dict[str, Any]) -> None:
        self.made, self.shapes = made, shapes
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self._names = [node.name for node in (*self.session.get_inputs(), *self.session.get_outputs())]

    num_io_tensors = property(lambda self: len(self._names))

    def get_tensor_name(self, index: int) -> str:
        return str(self._names[index])

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        assert profile == 0
        return [tuple(shape) for shape in self.shapes[name]]

    def create_execution_context(self) -> Context | None:
        return None if self.made.full else Context(self)


class Context:
    """An execution context on memory addresses, within the shapes of the profile."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert isinstance(address, int)
        self._addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        smallest, _, largest = self._engine.get_tensor_profile_shape(name, 0)
        assert all(low <= size <= high for low, size, high in zip(smallest, shape, largest, strict=True))
        self._shapes[name] = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        self._engine.made.calls.append(("execute", self._shapes["images"][0]))
        shapes = dict(self._shapes)
        self._engine.made.queue.append(lambda: self._compute(shapes))
        return True

    def _compute(self, shapes: dict[str, tuple[int, ...]]) -> None:
        feed = {}
        for node in self._engine.session.get_inputs():
            dtype = {"tensor(uint8)": np.uint8, "tensor(int64)": np.int64}[node.type]
            size = int(np.prod(shapes[node.name])) * np.dtype(dtype).itemsize
            read = ctypes.string_at(self._addresses[node.name], size)
            feed[node.name] = np.frombuffer(read, dtype).reshape(shapes[node.name])
        [embeddings] = self._engine.session.run(["embeddings"], feed)
        embeddings = embeddings + np.float32(self._engine.made.noise) * np.sign(embeddings[:, ::-1])
        ctypes.memmove(self._addresses["embeddings"], np.ascontiguousarray(embeddings).ctypes.data, embeddings.nbytes)
