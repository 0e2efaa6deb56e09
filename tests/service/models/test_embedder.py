"""Images to embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save
from PIL import Image

from vitreid.bundle import Bundle, BundleDamaged, BundleRunner, ImageSpec, OutputSpec, resize_to_spec
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.runtimes import RuntimeChoice


@pytest.fixture
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in ((64, 32), (200, 90), (31, 77))
    ]


def test_images_of_any_size_are_embedded_as_the_reference_does(tiny_bundle, images):
    bundle = Bundle.open(tiny_bundle)
    embedder = Embedder(bundle, RuntimeChoice(threads=1))
    found = embedder.embed(images, ["c2", None, "another"])
    pixels = np.stack([resize_to_spec(image, bundle.manifest.image) for image in images])
    np.testing.assert_array_equal(found, BundleRunner(bundle, threads=1).run(pixels, np.array([1, -1, -1])))
    assert np.abs(found[:1] - embedder.embed(images[:1], [None])).max() > 1e-4  # the camera matters
    assert (embedder.runtime.provider, embedder.dimension) == ("cpu", 48)


def test_a_folder_and_images_of_any_form_in_batches(tiny_bundle, images, tmp_path):
    embedder = Embedder(str(tiny_bundle))
    images[1].save(tmp_path / "image.png")
    found = embedder.embed([np.asarray(images[0]), tmp_path / "image.png", images[2]], batch_size=2)
    np.testing.assert_allclose(found, embedder.embed(images), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert (found.dtype, found.shape) == (np.float32, (3, 48))


def test_no_images_and_missing_cameras(tiny_bundle, images):
    embedder = Embedder(Bundle.open(tiny_bundle), RuntimeChoice("fake"))
    assert embedder.embed([], []).shape == (0, 48)
    with pytest.raises(ValueError, match="3 images with 1 cameras"):
        embedder.embed(images, [None])


@pytest.mark.parametrize(
    ("factor", "message"), [(np.nan, "is not finite"), (0, "has length 0, not 1"), (1, "has length .*, not 1")]
)
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_model_that_gives_no_embeddings_is_refused(tmp_path, runtime, factor, message):
    row = numpy_helper.from_array(np.full((1, 48), factor, dtype=np.float32), "row")
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    last = numpy_helper.from_array(np.array([1]), "last")
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Mul", ["column", "row"], ["embeddings"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 64, 32, 3])
    embeddings = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", 48])
    graph = helper.make_graph(nodes, "useless", [images], [embeddings], [row, axes, last])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "model.onnx")
    image, output = ImageSpec(height=64, width=32), OutputSpec(dimension=48)
    bundle = Bundle.save(tmp_path / "bundle", tmp_path / "model.onnx", name="useless", image=image, output=output)
    with pytest.raises(BundleDamaged, match=f"model.onnx gives of a grey image {message}; export the bundle again"):
        Embedder(bundle, RuntimeChoice(runtime, threads=1))
