"""Bundles on disk: round trip, and every kind of damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vitreid.bundle import Bundle, BundleDamaged, BundleError, BundleMissing, BundleTooNew, ImageSpec, OutputSpec


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def edit(bundle: Path, **changes: Any) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | changes))


def test_round_trip(bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    assert (manifest.image.height, manifest.image.width, manifest.dimension) == (64, 32, 48)
    assert manifest.cameras == ("c1", "c2")


def test_unknown_cameras(bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    assert [manifest.camera_index(c) for c in ("c1", "c2", "c9", None)] == [0, 1, -1, -1]


def test_the_id_follows_the_content_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    original = Bundle.open(bundle).manifest

    def saved(**changes: Any) -> str:
        values: dict[str, Any] = {
            "name": "x",
            "image": original.image,
            "output": original.output,
            "cameras": original.cameras,
        }
        return Bundle.save(tmp_path / "other", bundle / "model.onnx", **(values | changes)).manifest.bundle_id

    assert saved() == original.bundle_id
    assert saved(source={"note": "another"}) == original.bundle_id
    assert saved(image=ImageSpec(height=65, width=32)) != original.bundle_id
    assert saved(output=OutputSpec(dimension=48, bnneck="after")) != original.bundle_id
    assert saved(cameras=("c2", "c1")) != original.bundle_id


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing, match="vitreid export onnx"):
        Bundle.open(tmp_path / "nothing")


def test_a_missing_model(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    with pytest.raises(BundleMissing, match=r"model\.onnx is missing"):
        Bundle.open(bundle)


def test_a_truncated_model(bundle: Path) -> None:
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(BundleDamaged, match="bytes"):
        Bundle.open(bundle)


def test_a_flipped_bit(bundle: Path) -> None:
    model = bundle / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleDamaged, match="sha256"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        *(f'{{"format_version": {version}}}' for version in ("1", "0", '"1"', "null", "[1]")),
    ],
)
def test_no_manifest(bundle: Path, content: str) -> None:
    (bundle / "manifest.json").write_text(content)
    with pytest.raises(BundleDamaged, match=r"manifest\.json"):
        Bundle.open(bundle)


def test_a_later_version(bundle: Path) -> None:
    edit(bundle, format_version=99)
    with pytest.raises(BundleTooNew, match="99"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": {"height": 128, "width": 32}},
        {"cameras": ["c1"]},
        {"bundle_id": "0" * 64},
        {"unknown": 1},
        {"files": {}},
        {"files": {"../model.onnx": {"bytes": 1, "sha256": ""}}},
    ],
)
def test_a_manifest_edited_by_hand(bundle: Path, changes: dict[str, Any]) -> None:
    edit(bundle, **changes)
    with pytest.raises(BundleDamaged):
        Bundle.open(bundle)


def test_other_folders_are_not_overwritten(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "holidays").mkdir()
    (tmp_path / "holidays" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.save(
            tmp_path / "holidays",
            bundle / "model.onnx",
            name="x",
            image=ImageSpec(height=64, width=32),
            output=OutputSpec(dimension=48),
        )
    assert (tmp_path / "holidays" / "holiday.jpg").read_bytes() == b"x"


@pytest.mark.parametrize("target", ["file/bundle", "bundle"])
def test_a_failed_write_is_reported_in_a_line(
    bundle: Path, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_text("mine")
    opened = Bundle.open(bundle)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(BundleError, match=r"cannot be written \((File exists|No space left on device)\); make room"):
        Bundle(tmp_path / target, opened.manifest).extend({"notes.txt": tmp_path / "file"})
    assert sorted(tmp_path.rglob("*")) == before
    assert Bundle.open(bundle) == opened


def test_errors_are_one_line(bundle: Path) -> None:
    edit(bundle, files={})
    with pytest.raises(BundleError) as caught:
        Bundle.open(bundle)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_extending_adds_files_and_notes_and_keeps_the_id(bundle: Path, tmp_path: Path) -> None:
    before = Bundle.open(bundle).manifest
    (tmp_path / "engine").write_bytes(b"engine")
    Bundle.open(bundle).extend({"engines/a.engine": tmp_path / "engine"}, name="renamed")
    after = Bundle.open(bundle).manifest
    assert (after.bundle_id, after.name) == (before.bundle_id, "renamed")
    assert (bundle / "engines" / "a.engine").read_bytes() == b"engine"
    assert after.files["model.onnx"] == before.files["model.onnx"]


def test_extending_cannot_change_what_the_id_covers(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    with pytest.raises(ValueError, match="bundle_id"):
        opened.extend(cameras=("c7",))
    assert Bundle.open(bundle).manifest == opened.manifest
