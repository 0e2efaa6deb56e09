"""A bundle is refused if its hashes do not cover all weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from vitreid.bundle import Bundle, BundleDamaged
from vitreid.bundle.checksum import sha256_of
from vitreid.bundle.external_data import has_external_data


def outside(name: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), name)
    onnx.external_data_helper.set_external_data(tensor, "weights.data")
    tensor.ClearField("raw_data")
    return tensor


def in_initializer() -> onnx.GraphProto:
    return helper.make_graph([], "g", [], [], [outside("w")])


def in_attribute() -> onnx.GraphProto:
    return helper.make_graph([helper.make_node("Constant", [], ["w"], value=outside("w"))], "g", [], [])


def in_subgraph() -> onnx.GraphProto:
    branch = helper.make_node("If", ["c"], ["y"], then_branch=in_initializer(), else_branch=in_attribute())
    return helper.make_graph([branch], "g", [], [])


def in_sparse() -> onnx.GraphProto:
    sparse = helper.make_sparse_tensor(outside("w"), numpy_helper.from_array(np.arange(3), "i"), [9])
    return helper.make_graph([], "g", [], [], sparse_initializer=[sparse])


@pytest.mark.parametrize("graph", [in_initializer, in_attribute, in_subgraph, in_sparse])
def test_external_data_is_found_wherever_it_is(tmp_path: Path, graph: Callable[[], onnx.GraphProto]) -> None:
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph()).SerializeToString())
    assert has_external_data(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x3a\xff", b"\x0b\x0c", b"\xff" * 20])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        has_external_data(tmp_path / "m.onnx")


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def moved_out(model: Path) -> None:
    """Move a model's weights into a file beside it."""
    proto = onnx.load(model)
    convert_model_to_external_data(proto, location="weights.dat", size_threshold=0)
    onnx.save(proto, model)
    assert (model.parent / "weights.dat").is_file()


def test_a_model_with_its_weights_inside_is_accepted(bundle: Path) -> None:
    assert not has_external_data(bundle / "model.onnx")
    Bundle.open(bundle)


def test_a_model_with_weights_beside_it_is_not_saved(bundle: Path, tmp_path: Path) -> None:
    opened = Bundle.open(bundle).manifest
    moved_out(bundle / "model.onnx")
    with pytest.raises(BundleDamaged, match="stores weights in other files"):
        Bundle.save(tmp_path / "new", bundle / "model.onnx", name="x", image=opened.image, output=opened.output)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("listed", [False, True])
def test_a_bundle_with_weights_beside_its_model_is_not_opened(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    """Not even if the manifest lists them: the bundle_id does not cover them."""
    opened = Bundle.open(bundle).manifest
    moved_out(bundle / "model.onnx")
    monkeypatch.setattr("vitreid.bundle.manifest._check_inside", lambda file: None)
    Bundle.save(bundle, bundle / "model.onnx", name="x", image=opened.image, output=opened.output)
    monkeypatch.undo()
    (bundle / "weights.dat").write_bytes(b"other weights")
    if listed:
        manifest = json.loads((bundle / "manifest.json").read_text())
        record = {"bytes": 13, "sha256": sha256_of(bundle / "weights.dat")}
        manifest["files"]["weights.dat"] = record
        (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleDamaged, match="the bundle_id does not cover"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["model.onnx.data", "model.bin", "explain.onnx", "engines/gpu.engine"])
def test_a_file_of_weights_that_no_hash_covers_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(b"weights")
    with pytest.raises(BundleDamaged, match=r"is not listed in manifest\.json"):
        Bundle.open(bundle)


def test_other_files_in_a_bundle_are_allowed(bundle: Path) -> None:
    (bundle / "NOTES.txt").write_text("trained in May")
    Bundle.open(bundle)
