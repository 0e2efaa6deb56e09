"""Folders as sources of images: their files with the labels or boxes of names, tables and box files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.name_pattern import NamePattern
from vitreid.service.intake.box_files import read_boxes
from vitreid.service.intake.boxes import BoxSource, PersonBox
from vitreid.service.intake.folders import FolderContent, ImageFile, SkippedEntry, scan_folder
from vitreid.service.intake.labels import Label, labels_of_names, read_table
from vitreid.service.intake.outcomes import Provenance, SkippedFile
from vitreid.service.intake.preparing import ImageSource


@dataclass(frozen=True)
class FolderImages:
    """The images of a folder, ready to be taken in."""

    sources: list[ImageSource]
    ignored: list[SkippedEntry]
    """Files without an image's suffix, hidden ones, links to folders, and what is not a file."""
    unreadable: list[SkippedFile]
    """Folders and files that cannot be read."""

    @property
    def items(self) -> int:
        """Number of items that it may become, unreadable ones included."""
        return sum(source.items for source in self.sources) + len(self.unreadable)

    def labels(self) -> list[tuple[str, Label]]:
        """Return the label of each item, with its file's name."""
        return [(source.name or "", provenance.label) for source in self.sources for provenance in source.provenances()]


def read_folder(
    folder: Path,
    *,
    table: Path | None = None,
    boxes: BoxSource | None = None,
    camera_id: str | None = None,
    pattern: NamePattern | None = None,
) -> FolderImages:
    """List the crops below a folder with their labels or, given `boxes`, its frames with persons in them.

    Labels of crops come from `table` (see `read_table`), `camera_id` and names, Market-style or by a `pattern`; those
    of boxes from their file. Raises FolderNotFound, NoImages, IndexingError, TableError, NamePatternError.
    """
    content = scan_folder(folder)
    sources = crops_of(content, table, camera_id, pattern) if boxes is None else frames_of(content, boxes, pattern)
    unreadable = [SkippedFile(Provenance(each.path), each.reason) for each in content.unreadable]
    return FolderImages(sources, content.ignored, unreadable)


def crops_of(
    content: FolderContent, table: Path | None = None, camera_id: str | None = None, pattern: NamePattern | None = None
) -> list[ImageSource]:
    """Return each file as a crop, labelled by a table, a name pattern, a camera and the file's name, in this order.

    Raises TableError and NamePatternError.
    """
    names = [file.name for file in content.files]
    if table is None:
        labels = labels_of_names(names, camera_id=camera_id, pattern=pattern)
    else:
        labels = read_table(table, names, camera_id=camera_id, pattern=pattern)
    return [_source(file, labels[file.name]) for file in content.files]


def frames_of(content: FolderContent, boxes: BoxSource, pattern: NamePattern | None = None) -> list[ImageSource]:
    """Return each file that has boxes; a name pattern gives them a camera and a time if they have none.

    Raises TableError and NamePatternError.
    """
    of_frame = read_boxes(boxes, {file.name for file in content.files})
    files = [file for file in content.files if file.name in of_frame]
    named = labels_of_names([file.name for file in files], pattern=pattern) if pattern else {}
    if any(label.person_id or label.track_id for label in named.values()):
        raise NamePatternError("persons and tracks of frames come from their boxes; leave them out of the pattern")
    return [
        _source(file, boxes=[_with_label(box, named.get(file.name)) for box in of_frame[file.name]]) for file in files
    ]


def _source(file: ImageFile, label: Label | None = None, boxes: Sequence[PersonBox] | None = None) -> ImageSource:
    return ImageSource(file.name, file.read, file.size, label or Label(), boxes)


def _with_label(box: PersonBox, named: Label | None) -> PersonBox:
    if named is None:
        return box
    label = box.label
    camera_id, time = label.camera_id or named.camera_id, label.captured_at or named.captured_at
    return replace(box, label=replace(label, camera_id=camera_id, captured_at=time))
