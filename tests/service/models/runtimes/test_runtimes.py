"""Runtimes: one contract for all, and the reference's numbers for those that compute a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vitreid.bundle import Bundle, BundleRunner, RuntimeMissing
from vitreid.service.errors import UnknownName
from vitreid.service.models.runtimes import RUNTIMES, RuntimeChoice, load_runtime


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)


CAMERAS = np.array([0, 1, -1, 0, -1], dtype=np.int64)


ON_A_CPU = set(RUNTIMES) - {"engine"}


@pytest.mark.parametrize("name", sorted(ON_A_CPU))
def test_embeddings_are_unit_rows_that_do_not_depend_on_the_batch(name, tiny_bundle, images):
    runtime = load_runtime(Bundle.open(tiny_bundle), RuntimeChoice(name, threads=1))
    embeddings = runtime.run(images, CAMERAS)
    assert (embeddings.shape, embeddings.dtype) == ((5, 48), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    alone = np.concatenate([runtime.run(images[row : row + 1], CAMERAS[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(alone, embeddings, atol=1e-6)
    assert runtime.run(images[:0], CAMERAS[:0]).shape == (0, 48)
    assert (runtime.provider, runtime.precision, runtime.threads) == ("cpu", "fp32", 1)


@pytest.mark.parametrize("name", sorted(ON_A_CPU - {"fake"}))
def test_embeddings_are_those_of_the_reference(name, tiny_bundle, images):
    bundle = Bundle.open(tiny_bundle)
    expected = BundleRunner(bundle, threads=1).run(images, CAMERAS)
    found = load_runtime(bundle, RuntimeChoice(name, threads=1)).run(images, CAMERAS)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_fake_finds_similar_colours_similar_and_says_that_it_is_fake(tiny_bundle: Path, caplog):
    runtime = load_runtime(Bundle.open(tiny_bundle), RuntimeChoice("fake"))
    red = np.zeros((64, 32, 3), np.uint8) + np.array([200, 20, 20], np.uint8)
    blue = red[:, :, ::-1]
    nearly_red = np.clip(red.astype(int) + 10, 0, 255).astype(np.uint8)
    one, near, far = runtime.run(np.stack([red, nearly_red, blue]), np.full(3, -1))
    assert one @ near > 0.95 > one @ far
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "is for tests" in caplog.text


def test_an_unknown_runtime_is_reported(tiny_bundle):
    with pytest.raises(UnknownName, match="unknown runtime 'cuda': choose one of engine, onnx, openvino"):
        load_runtime(Bundle.open(tiny_bundle), RuntimeChoice("cuda"))


def test_openvino_computes_in_what_is_asked_for(tiny_bundle):
    bundle = Bundle.open(tiny_bundle)
    assert load_runtime(bundle, RuntimeChoice("openvino", precision="fp32")).precision == "fp32"
    with pytest.raises(RuntimeMissing, match="OpenVINO does not compute in fp8; choose one of fp32"):
        load_runtime(bundle, RuntimeChoice("openvino", precision="fp8"))


def test_openvino_makes_no_fp32_of_another_bundle(tiny_bundle):
    bundle = Bundle.open(tiny_bundle)
    int8 = Bundle(bundle.path, bundle.manifest.model_copy(update={"precision": "int8"}))
    assert load_runtime(int8, RuntimeChoice("openvino")).precision == "int8"
    with pytest.raises(
        RuntimeMissing, match="exported in int8, of which fp32 cannot be made again; leave VITREID_PREC"
    ):
        load_runtime(int8, RuntimeChoice("openvino", precision="fp32"))


def test_openvino_computes_on_the_cpu_only(tiny_bundle):
    with pytest.raises(RuntimeMissing, match="openvino computes on the cpu only, not on cuda"):
        load_runtime(Bundle.open(tiny_bundle), RuntimeChoice("openvino", ("cuda",)))


def test_onnx_computes_in_what_the_bundle_was_exported_in(tiny_bundle):
    with pytest.raises(RuntimeMissing, match="exported in, fp32, and not in bf16; leave VITREID_PRECISION empty"):
        load_runtime(Bundle.open(tiny_bundle), RuntimeChoice(precision="bf16"))
