"""Other people's models in the service: the same embeddings as the original gives, and one line for what cannot be."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from tests.commands import vitreid
from tests.export.foreign import DIMENSION, HEIGHT, WIDTH, save_foreign
from vitreid.bundle import Bundle, BundleError, BundleRunner
from vitreid.export.adopt import adopt
from vitreid.export.errors import AdoptionError
from vitreid.export.original import Original
from vitreid.export.pixels import IMAGENET_MEAN, IMAGENET_STD, InputSpec

IMAGES = np.random.default_rng(1).integers(0, 256, (20, HEIGHT, WIDTH, 3), dtype=np.uint8)
HALF, UINT8 = TensorProto.FLOAT16, TensorProto.UINT8
NO_PIXELS = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "scale": 1.0}


def adopted(path: Path, out: Path, **stated: Any) -> Bundle:
    original = Original.open(path, InputSpec(**stated))
    images = np.resize(IMAGES, (len(IMAGES), original.image.height, original.image.width, 3))
    return adopt(original, out, images, parity_data="noise")


def by_hand(path: Path, *, bgr: bool, mean: tuple, std: tuple, scale: float, nhwc: bool, dtype: type) -> np.ndarray:
    """Unit embeddings of each image by itself, from pixels that are computed one by one."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = []
    for image in IMAGES:
        planes = np.empty((3, HEIGHT, WIDTH), dtype=np.float32)
        for channel in range(3):
            source = image[..., 2 - channel if bgr else channel].astype(np.float64)
            planes[channel] = (source / scale - mean[channel]) / std[channel]
        fed = planes.transpose(1, 2, 0) if nhwc else planes
        taken = session.get_inputs()[0]
        count = taken.shape[0] if isinstance(taken.shape[0], int) else 1
        out = (
            session.run(None, {taken.name: np.stack([fed.astype(dtype)] * count)})[0][0].reshape(-1).astype(np.float64)
        )
        rows.append(out / np.linalg.norm(out))
    return np.stack(rows)


KINDS: dict[str, dict[str, Any]] = {
    "float, NCHW": {},
    "opset 9, old file": {"opset": 9, "ir_version": 3, "weights_as_inputs": True},
    "opset 18": {"opset": 18, "tail": "pooled"},
    "NHWC": {"layout": "NHWC"},
    "uint8": {"dtype": UINT8},
    "uint8, NHWC": {"dtype": UINT8, "layout": "NHWC"},
    "half": {"dtype": HALF},
    "half, NHWC": {"dtype": HALF, "layout": "NHWC"},
    "any size": {"size": ("h", "w"), "tail": "pooled"},
    "four axes out": {"tail": "pooled"},
    "batch of 1": {"batch": 1},
    "batch of 1, four axes out": {"batch": 1, "tail": "pooled"},
    "batch of 1, class token": {"batch": 1, "tail": "token"},
    "batch of 1, only one by one": {"batch": 1, "tail": "one image only"},
    "half, only one by one": {"batch": 1, "tail": "one image only", "dtype": HALF},
    "dynamic by its word, not in truth": {"tail": "one image only", "axes": ("n", 3, HEIGHT, WIDTH), "batch": 1},
    "batch of 3": {"batch": 3},
}  # fmt: skip


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_are_those_of_the_original(tmp_path: Path, kind: str, bgr: bool) -> None:
    options = KINDS[kind]
    dtype = {UINT8: np.uint8, HALF: np.float16}.get(options.get("dtype"), np.float32)
    model = save_foreign(tmp_path / "model.onnx", **options)
    size = {"height": HEIGHT, "width": WIDTH} if "size" in options else {}
    bundle = adopted(model, tmp_path / "bundle", color="BGR" if bgr else "RGB", **size)
    pixels: dict[str, Any] = (
        NO_PIXELS if dtype is np.uint8 else {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "scale": 255.0}
    )
    if bgr:
        pixels = {name: value[::-1] if isinstance(value, tuple) else value for name, value in pixels.items()}
    expected = by_hand(model, bgr=bgr, nhwc=options.get("layout") == "NHWC", dtype=dtype, **pixels)
    runner = BundleRunner(Bundle.open(bundle.path), threads=1)
    for count in (1, 2, 7, 20):
        np.testing.assert_allclose(runner.run(IMAGES[:count]), expected[:count], atol=1e-5)
    assert bundle.manifest.parity[0].max_abs_difference <= 1e-5
    assert bundle.manifest.parity[0].images == 20


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({}, "dynamic"),
        ({"batch": 1}, "made dynamic"),
        ({"batch": 3}, "made dynamic"),
        ({"batch": 1, "tail": "token"}, "made dynamic"),
        ({"batch": 1, "tail": "one image only"}, "one by one"),
        ({"axes": ("n", 3, HEIGHT, WIDTH), "batch": 1}, "made dynamic"),
        ({"axes": ("n", 3, HEIGHT, WIDTH), "batch": 1, "tail": "one image only"}, "one by one"),
    ],
)
def test_the_fastest_right_form_is_taken(tmp_path: Path, options: dict, form: str) -> None:
    bundle = adopted(save_foreign(tmp_path / "model.onnx", **options), tmp_path / "bundle")
    assert bundle.manifest.source["batch"] == form


def test_what_is_stated_counts(tmp_path: Path) -> None:
    model = save_foreign(tmp_path / "model.onnx")
    pixels: dict[str, Any] = {"mean": (10.0, 20.0, 30.0), "std": (2.0, 3.0, 4.0), "scale": 0.5}
    bundle = adopted(model, tmp_path / "bundle", resize="bicubic", **pixels)
    expected = by_hand(model, bgr=False, nhwc=False, dtype=np.float32, **pixels)
    np.testing.assert_allclose(BundleRunner(bundle, threads=1).run(IMAGES), expected, atol=1e-5)
    manifest = bundle.manifest
    assert (manifest.name, manifest.image.resize, manifest.precision) == ("model", "bicubic", "fp32")
    assert (manifest.output.dimension, manifest.output.bnneck) == (DIMENSION, None)
    assert manifest.source == {
        "adopted": "model.onnx",
        "sha256": onnx_hash(model),
        "input": "float32",
        "output": "out",
        "batch": "dynamic",
        "preprocessing": {"layout": "NCHW", "color": "RGB", "scale": 0.5, "mean": [10, 20, 30], "std": [2, 3, 4]},
        "parity_data": "noise",
    }


def onnx_hash(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_of_several_outputs(tmp_path: Path) -> None:
    model = save_foreign(tmp_path / "model.onnx", tail="two")
    [first, second] = [adopted(model, tmp_path / name, output=name) for name in ("out_a", "out_b")]
    np.testing.assert_allclose(
        BundleRunner(first, threads=1).run(IMAGES), -BundleRunner(second, threads=1).run(IMAGES), atol=1e-6
    )
    kept = {node.op_type for node in onnx.load(first.model_path).graph.node}
    assert "Neg" not in kept, "what another output needs is dropped"


def test_names_of_ours_may_be_taken(tmp_path: Path) -> None:
    model = onnx.load(save_foreign(tmp_path / "model.onnx"))
    for node in model.graph.node:
        for names in (node.input, node.output):
            renamed = ["embeddings" if name == "convolved" else name for name in names]
            del names[:]
            names.extend(renamed)
    onnx.save(model, tmp_path / "model.onnx")
    assert adopted(tmp_path / "model.onnx", tmp_path / "bundle").manifest.dimension == DIMENSION


def test_the_standard_operators_have_a_long_name(tmp_path: Path) -> None:
    model = onnx.load(save_foreign(tmp_path / "model.onnx"))
    model.opset_import[0].domain = "ai.onnx"
    onnx.save(model, tmp_path / "model.onnx")
    assert adopted(tmp_path / "model.onnx", tmp_path / "bundle").manifest.source["batch"] == "dynamic"


def test_few_images_prove_nothing(tmp_path: Path) -> None:
    original = Original.open(save_foreign(tmp_path / "model.onnx"), InputSpec())
    with pytest.raises(AdoptionError, match="at least 10 images, not on 9; give more as --images"):
        adopt(original, tmp_path / "bundle", IMAGES[:9], parity_data="noise")


def test_weights_in_other_files_are_pulled_inside(tmp_path: Path) -> None:
    model = save_foreign(
        tmp_path / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0
    )
    bundle = adopted(model, tmp_path / "bundle")
    (tmp_path / "model.onnx.data").unlink()
    assert len(BundleRunner(Bundle.open(bundle.path), threads=1).run(IMAGES)) == 20


def test_the_precision_is_that_of_the_weights(tmp_path: Path) -> None:
    assert adopted(save_foreign(tmp_path / "half.onnx", dtype=HALF), tmp_path / "half").manifest.precision == "fp16"
    from onnxruntime.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_dynamic(save_foreign(tmp_path / "model.onnx"), tmp_path / "int8.onnx", op_types_to_quantize=["MatMul"])
    assert adopted(tmp_path / "int8.onnx", tmp_path / "int8").manifest.precision == "int8"


# ---- what cannot be adopted


def truncated(folder: Path) -> Path:
    content = save_foreign(folder / "whole.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    return folder / "model.onnx"


def written(folder: Path, content: bytes) -> Path:
    (folder / "model.onnx").write_bytes(content)
    return folder / "model.onnx"


def without_data(folder: Path, size: int | None = None) -> Path:
    model = save_foreign(folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    if size is None:
        (folder / "weights.bin").unlink()
    else:
        (folder / "weights.bin").write_bytes(b"1" * size)
    return model


def two_inputs(folder: Path) -> Path:
    model = onnx.load(save_foreign(folder / "model.onnx"))
    model.graph.input.append(onnx.helper.make_tensor_value_info("camera", TensorProto.INT64, ["n"]))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def without_batch(folder: Path) -> Path:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[3, 16, 8] images) => (float[1, 384] out)'
        "{ out = Flatten <axis = 0> (images) }"
    )
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no file": (lambda folder: folder / "model.onnx", {}, "is not a file"),
    "truncated": (truncated, {}, "is not a complete ONNX model"),
    "text": (lambda folder: written(folder, b"hello, this is text"), {}, "is not a complete ONNX model"),
    "empty": (lambda folder: written(folder, b""), {}, "holds no operators"),
    "missing data": (without_data, {}, "weights in other files, which cannot be read .*weights.bin"),
    "truncated data": (lambda folder: without_data(folder, 50), {}, "weights in other files, which cannot be read"),
    "unknown operator": ({"tail": "unknown"}, {}, "does not load in onnxruntime .*Sharpen"),
    "opset to come": ({"opset": 999}, {}, "FAIL : ONNX Runtime only .* Opset 999 is under .* that it knows"),
    "two inputs": (two_inputs, {}, r"takes 2 inputs, images \(n, 3, 16, 8\), camera \(n\)"),
    "two outputs": ({"tail": "two"}, {}, r"gives 2 outputs, out_a \(.*\), out_b \(.*\); choose one with --output NAME"),
    "no such output": ({"tail": "two"}, {"output": "out_c"}, "gives no output out_c, but out_a .*; correct --output"),
    "wrong type": ({"dtype": TensorProto.DOUBLE}, {}, r"does not load|takes tensor\(double\)"),
    "no batch axis in": (without_batch, {}, r"takes \(3, 16, 8\); images have four axes"),
    "no batch axis out": ({"tail": "no batch"}, {}, "has no batch axis; export it as"),
    "a map": ({"tail": "map"}, {}, r"gives out of shape \(4, 8, 4\) for an image"),
    "not numbers": ({"tail": "nan"}, {}, "values that are not finite for .* of 20 images; check --scale"),
    "zeros": ({"tail": "zeros"}, {}, "nothing but zeros for 20 of 20 images"),
    "all alike": ({"tail": "same"}, {}, "the same embedding for all of 20 images"),
    "of the batch": ({"tail": "of the batch"}, {}, "differs between one image and a batch .* evaluation mode"),
    "batch of 3": ({"batch": 3, "tail": "one image only"}, {}, "fixed to batches of 3|no batch axis|does not run"),
    "grey": ({"axes": ("n", 1, HEIGHT, WIDTH), "tail": "pooled"}, {}, "no axis is the three channels|does not load"),
    "any size": ({"size": ("h", "w"), "tail": "pooled"}, {"height": 16}, "any width; .* as --width"),
    "no size": ({"size": ("h", "w"), "tail": "pooled"}, {"height": 16, "width": 0}, "--width from 1 to 4096"),
    "any layout": ({"axes": ("n", "c", "h", "w"), "tail": "pooled"}, {}, "use --layout NCHW or --layout NHWC"),
    "three by three": ({"axes": ("n", 3, "h", 3), "tail": "pooled"}, {"height": 16}, "use --layout NCHW or"),
    "other layout": ({}, {"layout": "NHWC"}, r"takes \(n, 3, 16, 8\), which is not NHWC; leave out --layout"),
    "other height": ({}, {"height": 128}, "takes images of height 16, not 128; leave out --height"),
    "wrong size": ({"size": ("h", "w")}, {"height": 99, "width": 50}, "does not run on an input of .*check --height"),
    "wrong layout": (
        {"axes": ("n", "c", "h", "w")}, {"height": 16, "width": 8, "layout": "NHWC"}, "does not run .* and --layout",
    ),
    "mean of uint8": ({"dtype": UINT8}, {"mean": (0, 0, 0)}, "arithmetic on pixels is inside; leave out --mean"),
    "std of zero": ({}, {"std": (0, 1, 1)}, "scale and std must be above 0"),
    "scale not a number": ({}, {"scale": float("nan")}, "scale and std must be above 0"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_refused(tmp_path: Path, kind: str) -> None:
    make, stated, message = BAD[kind]
    model = make(tmp_path) if callable(make) else save_foreign(tmp_path / "model.onnx", **make)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(AdoptionError, match=message) as caught:
        adopted(model, tmp_path / "bundle", **stated)
    assert str(caught.value).startswith(f"{model} ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_too_large_for_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitreid.export.original.LARGEST", 1000)
    with pytest.raises(AdoptionError, match="bundle's file at most 1,000"):
        adopted(save_foreign(tmp_path / "model.onnx"), tmp_path / "bundle")


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        adopted(save_foreign(tmp_path / "model.onnx"), tmp_path / "notes")
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    model = save_foreign(tmp_path / "osnet.onnx", size=("h", "w"), tail="pooled")
    arguments = f"export adopt {model} --out {tmp_path / 'bundle'} --height 32 --width 16 --mean 0 0 0 --std 1 1 1"
    done = vitreid(*arguments.split())
    assert done.exit_code == 0, done.output
    assert "osnet.onnx on 64 images" in done.output
    manifest = Bundle.open(tmp_path / "bundle").manifest
    assert (manifest.name, manifest.image.height, manifest.image.resize) == ("osnet", 32, "bilinear")
    assert manifest.model_dump()["source"]["preprocessing"]["mean"] == [0, 0, 0]
