"""Building an engine, with TensorRT 10 and 11 made up: what is asked of them, what is kept, and what is refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.tensorrt_standin import GPU, VERSIONS, FakeMachine, install
from tests.commands import vitreid
from vitreid.bundle import Bundle, BundleRunner, RuntimeMissing
from vitreid.bundle.gpu import first_gpu
from vitreid.bundle.run_engine import EngineRunner, load_tensorrt
from vitreid.export.errors import EngineError, ParityError
from vitreid.export.to_tensorrt import Profile, export_tensorrt

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 64, 32, 3), dtype=np.uint8)
PROFILE = Profile(usual=4, largest=16)


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Bundle:
    return Bundle.open(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))


@pytest.fixture(params=VERSIONS)
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    monkeypatch.setattr("vitreid.export.to_tensorrt.first_gpu", lambda: GPU)
    return install(monkeypatch, request.param)


def test_the_engine_is_kept_and_used(bundle: Bundle, made: FakeMachine) -> None:
    built = export_tensorrt(bundle, IMAGES, profile=PROFILE)
    name = f"engines/NVIDIA-H200-{made.version}-fp32.engine"
    kept = Bundle.open(bundle.path)
    assert set(kept.manifest.files) == {"model.onnx", name}
    assert kept.manifest.bundle_id == bundle.manifest.bundle_id
    [parity] = built.manifest.parity
    assert (parity.runtime, parity.precision, parity.images) == (f"TensorRT {made.version} NVIDIA H200", "fp32", 20)
    assert parity.max_abs_difference <= 1e-5
    found = EngineRunner.open(kept).run(IMAGES)
    np.testing.assert_allclose(found, BundleRunner(bundle, threads=1).run(IMAGES), atol=1e-6)
    again = export_tensorrt(kept, IMAGES, profile=PROFILE)
    assert len(again.manifest.parity) == 1, "the newer number stands for the older"


def test_settings_of_a_builder(bundle: Bundle, made: FakeMachine) -> None:
    """The graph's types are those that are computed in, in both versions: no flag of a precision, and no TF32."""
    export_tensorrt(bundle, IMAGES, profile=PROFILE)
    told = [call for call in made.calls if call[0] != "execute"]
    assert told == [("create_network", 0b10), ("clear_flag", "TF32"), ("build", None)]
    assert {call[1] for call in made.calls if call[0] == "execute"} == {1, 2, 7, 10}


def test_timings_are_kept_for_the_next_build(bundle: Bundle, made: FakeMachine, tmp_path: Path) -> None:
    timings = tmp_path / "timings"
    for _ in range(2):
        export_tensorrt(bundle, IMAGES, profile=PROFILE, timings=timings)
    timings.write_bytes(b"of another version")
    export_tensorrt(bundle, IMAGES, profile=PROFILE, timings=timings)
    assert [call[1] for call in made.calls if call[0] == "build"] == [b"", made.version.encode(), b""]


def test_timings_without_a_place_are_reported_before_anything_is_built(
    bundle: Bundle, made: FakeMachine, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"--timings .*gone/timings must be a file, in a folder that exists"):
        export_tensorrt(bundle, IMAGES, profile=PROFILE, timings=tmp_path / "gone" / "timings")
    assert made.calls == []


def test_another_engine_is_not_kept(bundle: Bundle, made: FakeMachine) -> None:
    made.noise = 0.05
    with pytest.raises(ParityError, match=r"TensorRT .* differs from .*model.onnx in onnxruntime on 20 images: by "):
        export_tensorrt(bundle, IMAGES, profile=PROFILE)
    made.noise = float("nan")
    with pytest.raises(ParityError, match="it returns values that are not finite; the engine was not added"):
        export_tensorrt(bundle, IMAGES, profile=PROFILE)
    assert Bundle.open(bundle.path).manifest == bundle.manifest


def test_a_graph_that_is_not_taken_is_reported(bundle: Bundle, made: FakeMachine) -> None:
    made.parse_errors = ["In node 7 with name: a and operator: Attention: UNSUPPORTED_NODE\nno importer", "and so on"]
    with pytest.raises(
        EngineError, match=r"does not support .*Attention: UNSUPPORTED_NODE no importer; and so on.*--opset 18"
    ):
        export_tensorrt(bundle, IMAGES, profile=PROFILE)


def test_a_failing_build_is_reported(bundle: Bundle, made: FakeMachine) -> None:
    made.build_errors = ["Could not find any implementation"]
    with pytest.raises(EngineError, match=r"could not build .* \(Could not find any implementation\)"):
        export_tensorrt(bundle, IMAGES, profile=PROFILE)
    assert Bundle.open(bundle.path).manifest == bundle.manifest


@pytest.mark.parametrize(("usual", "largest"), [(0, 4), (8, 4), (1, 0)])
def test_batches_that_cannot_be(usual: int, largest: int) -> None:
    with pytest.raises(EngineError, match="give 1 <= --batch <= --max-batch"):
        Profile(usual=usual, largest=largest)


def test_a_machine_without_a_gpu_or_tensorrt_is_reported(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise RuntimeMissing("there is no NVIDIA driver here")

    monkeypatch.setattr("vitreid.export.to_tensorrt.first_gpu", nothing)
    with pytest.raises(RuntimeMissing, match="no NVIDIA driver"):
        export_tensorrt(bundle, IMAGES, profile=PROFILE)
    monkeypatch.setattr("vitreid.export.to_tensorrt.first_gpu", lambda: GPU)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(RuntimeMissing, match=r"tensorrt cannot be imported .*: pip install tensorrt-cu13"):
        export_tensorrt(bundle, IMAGES, profile=PROFILE)


@pytest.mark.slow
def test_the_command(bundle: Bundle, made: FakeMachine, tmp_path: Path) -> None:
    arguments = f"export tensorrt {bundle.path} --batch 2 --max-batch 8 --timings {tmp_path / 'timings'}"
    done = vitreid(*arguments.split())
    assert done.exit_code == 0, done.output
    assert "model.onnx on 64 images" in done.output
    assert (tmp_path / "timings").read_bytes() == made.version.encode()
    assert max(call[1] for call in made.calls if call[0] == "execute") == 8


def problem() -> str | None:
    try:
        first_gpu()
        load_tensorrt()
    except RuntimeMissing as missing:
        return str(missing)
    return None


@pytest.mark.gpu
@pytest.mark.skipif(problem() is not None, reason=f"no engine can be built: {problem()}")
def test_on_a_real_gpu(bundle: Bundle, tmp_path: Path) -> None:
    built = export_tensorrt(bundle, IMAGES, profile=PROFILE, timings=tmp_path / "timings")
    found = EngineRunner.open(Bundle.open(built.path)).run(IMAGES)
    np.testing.assert_allclose(found, BundleRunner(bundle, threads=1).run(IMAGES), atol=1e-5)
    assert (tmp_path / "timings").stat().st_size > 0
