"""A bundle on disk: `model.onnx`, and a `manifest.json` with everything that is needed to use it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from vitreid.bundle.atomic import atomic_folder, recover
from vitreid.bundle.calibration import Calibration
from vitreid.bundle.checksum import sha256_of
from vitreid.bundle.errors import BundleDamaged, BundleError, BundleMissing, BundleTooNew
from vitreid.bundle.external_data import has_external_data
from vitreid.bundle.frozen import FrozenModel
from vitreid.bundle.parity import Parity
from vitreid.bundle.patch_spec import EXPLAIN, PatchSpec

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MODEL = "model.onnx"
WEIGHTS = frozenset({".onnx", ".data", ".bin", ".weights", ".engine"})
"""Suffixes of files that may hold weights."""


class ImageSpec(FrozenModel):
    """The input of a graph: RGB, uint8, channels last, resized by one of Pillow's antialiased filters."""

    height: int = Field(gt=0, le=4096)
    width: int = Field(gt=0, le=4096)
    resize: Literal["bicubic", "bilinear"] = "bicubic"
    color: Literal["RGB"] = "RGB"


class OutputSpec(FrozenModel):
    """The output of a graph: float32, unit length, taken before or after the BNNeck; None: unknown."""

    dimension: int = Field(gt=0)
    bnneck: Literal["before", "after"] | None = "before"


class FileRecord(FrozenModel):
    """A file's size in bytes and its hash."""

    bytes: int = Field(ge=0)
    sha256: str


class Manifest(FrozenModel):
    """The description of a bundle: everything but its weights.

    `cameras` and `views` name, in the order of their indices, what the model learned an embedding for; both are
    empty for a model without such inputs.
    """

    format_version: int = FORMAT_VERSION
    bundle_id: str
    name: str
    created_at: datetime
    precision: str = Field("fp32", pattern="^(fp32|fp16|bf16|int8|int8-static)$")
    image: ImageSpec
    output: OutputSpec
    cameras: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    files: dict[str, FileRecord]
    parity: tuple[Parity, ...] = ()
    calibration: Calibration | None = None
    explain: PatchSpec | None = None
    source: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if MODEL not in self.files:
            raise ValueError(f"files lists no {MODEL}")
        if outside := [name for name in self.files if ".." in Path(name).parts or Path(name).is_absolute()]:
            raise ValueError(f"files lists {outside[0]}, which is outside the bundle")
        expected = _bundle_id(self.files[MODEL].sha256, self.image, self.output, self.cameras, self.views)
        if self.bundle_id != expected:
            raise ValueError(f"bundle_id is {self.bundle_id[:12]}, but model, image and output give {expected[:12]}")
        if self.calibration and self.calibration.bundle_id != self.bundle_id:
            raise ValueError(f"calibration is of another bundle, {self.calibration.bundle_id[:12]}; calibrate this one")
        if (self.explain is None) != (EXPLAIN not in self.files):
            raise ValueError(f"explain and {EXPLAIN} of files go together; one of them is missing")
        return self

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return self.output.dimension

    def camera_index(self, camera_id: str | None) -> int:
        """Return the index of a model camera; -1 if the camera is None or unknown to the model."""
        return self.cameras.index(camera_id) if camera_id in self.cameras else -1


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files match its manifest."""

    path: Path
    manifest: Manifest

    @property
    def model_path(self) -> Path:
        """The ONNX file of the graph."""
        return self.path / MODEL

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Open a bundle and check that its files match the hashes in its manifest and contain all weights.

        Raises BundleMissing, BundleDamaged or BundleTooNew.
        """
        recover(path)
        manifest = _read_manifest(path)
        for name, record in manifest.files.items():
            _check_file(path / name, record)
        _check_weights(path, manifest)
        return cls(path, manifest)

    @classmethod
    def save(
        cls,
        path: Path,
        model: Path,
        *,
        name: str,
        image: ImageSpec,
        output: OutputSpec,
        cameras: tuple[str, ...] = (),
        views: tuple[str, ...] = (),
        precision: str = "fp32",
        parity: tuple[Parity, ...] = (),
        source: dict[str, JsonValue] | None = None,
    ) -> Bundle:
        """Write a bundle with a copy of `model`, atomically.

        Raises BundleError if `path` is something other than a bundle, or if weights are stored outside `model`.
        """
        check_target(path)
        _check_inside(model)
        record = FileRecord(bytes=model.stat().st_size, sha256=sha256_of(model))
        manifest = Manifest(
            bundle_id=_bundle_id(record.sha256, image, output, cameras, views),
            name=name,
            created_at=datetime.now(UTC).replace(microsecond=0),
            precision=precision,
            image=image,
            output=output,
            cameras=cameras,
            views=views,
            files={MODEL: record},
            parity=parity,
            source=source or {},
        )
        return cls(path, manifest)._write({MODEL: model})

    def extend(self, files: Mapping[str, Path] | None = None, **changes: object) -> Bundle:
        """Rewrite the bundle, atomically, with files added or replaced and fields of its manifest changed.

        The `bundle_id` stays the same, since none of the values that it depends on can be changed.
        """
        added = {
            name: FileRecord(bytes=file.stat().st_size, sha256=sha256_of(file)) for name, file in (files or {}).items()
        }
        content = {name: getattr(self.manifest, name) for name in Manifest.model_fields}
        manifest = Manifest.model_validate(content | changes | {"files": self.manifest.files | added})
        return Bundle(self.path, manifest)._write(files or {})

    def _write(self, files: Mapping[str, Path]) -> Bundle:
        """Write the bundle and return it; files that are not in `files` are copied from the older bundle.

        Raises BundleError if it cannot be written.
        """
        try:
            with atomic_folder(self.path) as folder:
                for name in self.manifest.files:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(files.get(name, self.path / name), folder / name)
                (folder / MANIFEST).write_text(self.manifest.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise BundleError(
                f"{self.path} cannot be written ({error.strerror}); make room there, or choose another folder"
            ) from error
        return self


def check_target(path: Path) -> None:
    """Raise BundleError if a bundle at this path would replace something that is not a bundle."""
    if path.exists() and any(path.iterdir() if path.is_dir() else [path]) and not (path / MANIFEST).is_file():
        raise BundleError(f"{path} exists and is not a bundle; choose another folder")


def _bundle_id(
    model_sha256: str, image: ImageSpec, output: OutputSpec, cameras: tuple[str, ...], views: tuple[str, ...]
) -> str:
    # Bundles with the same id give equal embeddings for equal requests. Names, notes and engines do not change it.
    content = {
        "model": model_sha256,
        "image": image.model_dump(),
        "output": output.model_dump(),
        "cameras": list(cameras),
        "views": list(views),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_manifest(path: Path) -> Manifest:
    file = path / MANIFEST
    if not file.is_file():
        raise BundleMissing(f"{path} is not a bundle: it has no {MANIFEST}; make one with `vitreid export onnx`")
    try:
        content = json.loads(file.read_bytes())
        version = content["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleDamaged(f"{file} is not a manifest ({_first_line(error)}); export the bundle again") from error
    if not isinstance(version, int) or version < 1:
        raise BundleDamaged(
            f"{file} has unknown format_version {version!r}; this vitreid reads {FORMAT_VERSION}; "
            "export the bundle again"
        )
    if version > FORMAT_VERSION:
        raise BundleTooNew(
            f"{file} has format_version {version}, this vitreid reads up to {FORMAT_VERSION}; update vitreid"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "manifest"
        why = first["msg"].removeprefix("Value error, ")
        raise BundleDamaged(f"{file} is not valid: {where}: {why}; export the bundle again") from error


def _check_file(file: Path, record: FileRecord) -> None:
    if not file.is_file():
        raise BundleMissing(f"{file} is missing; export the bundle again or restore the file")
    size = file.stat().st_size
    if size != record.bytes:
        raise BundleDamaged(f"{file} has {size:,} bytes; the manifest has {record.bytes:,}; export the bundle again")
    found = sha256_of(file)
    if found != record.sha256:
        raise BundleDamaged(
            f"{file} has sha256 {found[:12]}; the manifest has {record.sha256[:12]}; export the bundle again"
        )


def _check_weights(path: Path, manifest: Manifest) -> None:
    """Raise BundleDamaged if a file that may hold weights is not covered by the hashes."""
    for name in manifest.files:
        if name.endswith(".onnx"):
            _check_inside(path / name)
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.suffix in WEIGHTS and name not in manifest.files:
            raise BundleDamaged(f"{file} is not listed in {MANIFEST}, so no hash covers it; remove it")


def _check_inside(file: Path) -> None:
    try:
        outside = has_external_data(file)
    except ValueError as error:
        raise BundleDamaged(f"{file} is not an ONNX model ({error}); export the bundle again") from error
    if outside:
        raise BundleDamaged(
            f"{file} stores weights in other files, which the bundle_id does not cover; "
            "save it with its weights inside (`vitreid export adopt` does)"
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
