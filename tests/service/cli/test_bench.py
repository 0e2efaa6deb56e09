"""`vitreid bench`: what is measured, what is missing and why, what is recommended, and an end by Ctrl-C."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from tests.commands import vitreid
from vitreid.bundle import Bundle, BundleDamaged, BundleMissing, BundleRunner, OpenVinoRunner
from vitreid.service.cli.bench import lines, values
from vitreid.service.models import bench as benchmark
from vitreid.service.models.bench import (
    CONFIGURATIONS,
    Bench,
    FailedConfiguration,
    Measured,
    loads_of,
    made_up_images,
    recommended,
    settings_of,
    time_runs,
)
from vitreid.service.models.runtimes import RUNTIMES, RuntimeChoice


def bench(*arguments: Any) -> Result:
    return vitreid("bench", *arguments)


def configuration(
    runtime: str = "onnx", threads: int | None = 1, precision: str = "fp32", provider: str = "cpu"
) -> RuntimeChoice:
    return RuntimeChoice(runtime, (provider,), precision=precision, threads=threads)


def measured(choice: RuntimeChoice, batch: int, ms: float, cosine: float = 1.0) -> Measured:
    return Measured(choice, batch, np.array([ms, ms, ms]), cosine)


def test_every_runtime_is_tried() -> None:
    assert {each.runtime for each in CONFIGURATIONS} == set(RUNTIMES) - {"fake"}


def test_every_configuration_is_measured_or_a_reason_is_given(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "cores", lambda: 1)
    result = bench(tiny_bundle, "--seconds", 0, "--json")
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    rows = {(each["runtime"], each["provider"], each["precision"], each["batch"]) for each in printed["measured"]}
    assert rows >= {(runtime, "cpu", "fp32", batch) for runtime in ("onnx", "openvino") for batch in (1, 4, 16)}
    assert all(each["images_per_s"] > 0 and each["runs"] >= 2 for each in printed["measured"])
    assert all(each["p50_ms"] <= each["p99_ms"] for each in printed["measured"])
    assert all(each["min_cosine"] > 0.999 for each in printed["measured"])
    ways = {each["configuration"] for each in printed["unavailable"]} | {
        f"{runtime} on {provider}" for runtime, provider, *_ in rows
    }
    assert ways >= {"onnx on cpu", "openvino on cpu", "onnx on cuda", "onnx on tensorrt"}
    assert all(each["reason"] for each in printed["unavailable"])
    assert set(printed["recommended"]) == {"throughput", "latency"}
    assert printed["interrupted"] is False
    assert result.stderr == ""


def test_the_text_has_the_table_and_settings_to_copy(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "CONFIGURATIONS", (RuntimeChoice(), RuntimeChoice("onnx", ("cuda",))))
    monkeypatch.setattr(benchmark, "cores", lambda: 1)
    printed = bench(tiny_bundle, "--seconds", 0).stdout.splitlines()
    [head] = [place for place, line in enumerate(printed) if line.startswith("runtime ")]
    assert [line.split()[:5] for line in printed[head + 1 : head + 4]] == [
        ["onnx", "cpu", "fp32", "1", batch] for batch in ("1", "4", "16")
    ]
    assert {len(line) for line in printed[head : head + 4]} == {len(printed[head])}
    assert any(line.startswith("not available: onnx on cuda: ") for line in printed)
    assert "  VITREID_RUNTIME=onnx" in printed


def test_an_end_by_ctrl_c_keeps_what_was_measured(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def interrupted(runtime: Any, images: np.ndarray, seconds: float) -> np.ndarray:
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return time_runs(runtime, images, seconds)

    monkeypatch.setattr(benchmark, "time_runs", interrupted)
    result = bench(tiny_bundle, "--seconds", 0, "--json")
    assert result.exit_code == 130
    printed = json.loads(result.stdout)
    assert [each["batch"] for each in printed["measured"]] == [1, 4]
    assert printed["interrupted"] is True
    assert printed["recommended"]["latency"]["VITREID_MAX_BATCH"] == "1"
    assert result.stderr == "vitreid: interrupted; what was measured until then is printed\n"


def test_an_end_before_anything_recommends_nothing(tiny_bundle: Path) -> None:
    printed = values(Bench(Bundle.open(tiny_bundle), interrupted=True))
    assert (printed["measured"], printed["recommended"]) == ([], {})


def test_a_folder_that_is_no_bundle_is_reported(tmp_path: Path) -> None:
    assert isinstance(bench(tmp_path).exception, BundleMissing)


def test_a_model_that_gives_no_embeddings_is_reported(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BundleRunner, "run", lambda self, images, cameras: np.full((len(images), 48), np.nan))
    error = bench(tiny_bundle, "--seconds", 0, "--json").exception
    assert isinstance(error, BundleDamaged)
    assert "gives of a grey image is not finite" in str(error)


def test_a_configuration_that_gives_no_embeddings_is_not_recommended(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "CONFIGURATIONS", (RuntimeChoice("openvino"),))
    monkeypatch.setattr(benchmark, "cores", lambda: 1)
    monkeypatch.setattr(OpenVinoRunner, "run", lambda self, images, cameras: np.full((len(images), 48), np.nan))
    printed = json.loads(bench(tiny_bundle, "--seconds", 0, "--json").stdout)
    assert {each["min_cosine"] for each in printed["measured"]} == {-1}
    assert printed["recommended"] == {}


def test_what_is_recommended(tiny_bundle: Path) -> None:
    fast = configuration("openvino", 2, "bf16")
    found = Bench(
        Bundle.open(tiny_bundle),
        measured=[
            measured(configuration(), 1, 20),
            measured(configuration(), 4, 40),
            measured(fast, 1, 12),
            measured(fast, 4, 20),
            measured(fast, 16, 79),
            measured(configuration("openvino", 1, "bf16"), 1, 12.2),
            measured(configuration("openvino", 2, "fp8"), 1, 1, cosine=0.98),
        ],
        unavailable=[FailedConfiguration(RuntimeChoice("onnx", ("cuda",)), "there is none")],
    )
    best = recommended(found, "throughput")
    assert best is not None
    assert settings_of(found, best) == {
        "VITREID_RUNTIME": "openvino",
        "VITREID_PROVIDER": "cpu",
        "VITREID_PRECISION": "bf16",
        "VITREID_THREADS": "2",
        "VITREID_MAX_BATCH": "4",  # 16 are hardly faster
    }
    soonest = recommended(found, "latency")
    assert soonest is not None
    assert (soonest.choice.threads, soonest.batch) == (1, 1)  # half the cores, hardly slower
    text = list(lines(found))
    assert "\nnot available: onnx on cuda: there is none" in text


def test_settings_name_neither_the_bundles_precision_nor_cores_of_a_gpu(tiny_bundle: Path) -> None:
    found = Bench(Bundle.open(tiny_bundle))
    settings = settings_of(found, measured(configuration(provider="cuda", threads=None), 8, 5))
    assert settings == {"VITREID_RUNTIME": "onnx", "VITREID_PROVIDER": "cuda", "VITREID_MAX_BATCH": "8"}


def test_numbers_of_a_measurement() -> None:
    each = Measured(configuration(), 4, np.array([10.0, 20.0, 30.0, 40.0]), 1.0)
    assert each.images_per_s == pytest.approx(16 / 0.1)
    assert (each.percentile_ms(50), each.percentile_ms(100)) == (25, 40)


@pytest.mark.parametrize(("cores", "expected"), [(1, [1]), (2, [1, 2]), (3, [1, 3]), (16, [1, 8, 16])])
def test_cores_and_sizes_that_are_tried(monkeypatch: pytest.MonkeyPatch, cores: int, expected: list[int]) -> None:
    monkeypatch.setattr(benchmark, "cores", lambda: cores)
    assert loads_of(RuntimeChoice()) == [(threads, (batch,)) for threads in expected for batch in (1, 4, 16)]
    assert loads_of(RuntimeChoice("onnx", ("cuda",))) == [(None, (1, 8, 32))]


def test_made_up_images_are_of_the_models_size_and_all_different(tiny_bundle: Path) -> None:
    images = made_up_images(Bundle.open(tiny_bundle), 3)
    assert (images.shape, images.dtype) == ((3, 64, 32, 3), np.uint8)
    assert len({image.tobytes() for image in images}) == 3
