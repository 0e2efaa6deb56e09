"""explain.onnx of a bundle: its outputs, the boxes of patches, and damaged files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreid.bundle import Bundle, BundleDamaged, PatchGraphMissing, PatchRunner, PatchSpec
from vitreid.bundle.patch_spec import EXPLAIN


def random_images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 32, 3), dtype=np.uint8)


def test_patches_and_attention(explained_bundle: Path) -> None:
    images = random_images(7)
    patches, attention = PatchRunner(Bundle.open(explained_bundle), threads=1).run(images, np.full(7, -1))
    for image, rows, weights in zip(images, patches, attention, strict=True):
        cells = [
            image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].reshape(-1, 3).mean(0)
            for row in range(8)
            for column in range(4)
        ]
        for cell, row in zip(cells, rows, strict=True):
            np.testing.assert_allclose(row, (cell - 127.4) / np.linalg.norm(cell - 127.4), atol=1e-4)
        np.testing.assert_allclose(weights, np.mean(cells, 1) / np.sum(np.mean(cells, 1)), rtol=1e-5)


def test_a_model_camera_changes_the_patches(explained_bundle: Path) -> None:
    runner = PatchRunner(Bundle.open(explained_bundle), threads=1)
    known, unknown = (runner.run(random_images(1), np.array([camera]))[0] for camera in (0, -1))
    assert not np.allclose(known, unknown)
    np.testing.assert_array_equal(runner.run(random_images(1))[0], unknown)


def test_boxes_of_overlapping_patches() -> None:
    values = {"rows": 3, "columns": 2, "patch_size": (16, 16), "stride": (12, 8), "dimension": 4, "attention": "mean"}
    spec = PatchSpec(**values, parity_images=1, max_abs_difference=0.0)
    assert spec.patches == 6
    boxes = spec.boxes(height=80, width=48, image=(40, 24))  # twice the size of the graph's input
    expected = [[2 * left, 2 * top, 2 * (left + 16), 2 * (top + 16)] for top in (0, 12, 24) for left in (0, 8)]
    np.testing.assert_array_equal(boxes, expected)


def test_a_bundle_without_it_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(PatchGraphMissing, match=r"has no explain\.onnx.*vitreid export explain"):
        PatchRunner(Bundle.open(tiny_bundle))


def changed(bundle: Path, **explain: Any) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["explain"] |= explain
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_a_graph_of_another_shape_is_damage(explained_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(explained_bundle, tmp_path / "bundle")
    changed(tmp_path / "bundle", dimension=4)
    with pytest.raises(BundleDamaged, match="the manifest expects"):
        PatchRunner(Bundle.open(tmp_path / "bundle"))


def test_a_file_that_is_not_a_graph_is_damage(explained_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(explained_bundle, tmp_path / "bundle")
    (tmp_path / "nothing").write_bytes(b"no graph")
    Bundle.open(tmp_path / "bundle").extend({EXPLAIN: tmp_path / "nothing"})
    with pytest.raises(BundleDamaged, match="is not an ONNX model"):
        PatchRunner(Bundle.open(tmp_path / "bundle"))


@pytest.mark.parametrize("missing", ["file", "part"])
def test_file_and_part_of_the_manifest_go_together(explained_bundle: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(explained_bundle, tmp_path / "bundle")
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    if missing == "file":
        del manifest["files"][EXPLAIN]
    else:
        del manifest["explain"]
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleDamaged, match="go together"):
        Bundle.open(tmp_path / "bundle")
