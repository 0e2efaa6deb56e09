"""Folders as sources of images: their files with labels or boxes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitreid.bundle import ImageError
from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.image_files import OTHER_SUFFIXES, SUFFIXES
from vitreid.bundle.name_pattern import NamePattern
from vitreid.service.errors import FolderNotFound, IndexingError, NoImages
from vitreid.service.intake.box_files import read_boxes
from vitreid.service.intake.boxes import BoxSource, PersonBox
from vitreid.service.intake.labels import Label, labels_of_names, read_table
from vitreid.service.intake.outcomes import Provenance, SkippedFile
from vitreid.service.intake.preparing import ImageSource

CONVERT = "; convert it to JPEG, PNG or WebP"
HIDDEN = "is hidden"
LINK = "is a link to a folder, which is not followed"
MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class ImageFile:
    """A file with an image's suffix."""

    path: Path
    name: str
    """Relative to the folder, with slashes."""
    size: int
    """In bytes."""

    def read(self) -> bytes:
        """Return its bytes. Raises ImageError."""
        if self.size > MAX_BYTES:
            raise ImageError(self.name, f"has {self.size:,} bytes, at most {MAX_BYTES:,} are allowed")
        try:
            self.name.encode()
            return self.path.read_bytes()
        except UnicodeEncodeError as error:
            raise ImageError(_shown(self.name), "has a name that is not UTF-8; rename it") from error
        except OSError as error:
            raise ImageError(self.name, f"cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class SkippedEntry:
    """A file or folder that is not taken in, and the reason."""

    path: str
    """Relative to the folder, with slashes."""
    reason: str


@dataclass(frozen=True)
class FolderContent:
    """The content of a folder."""

    files: list[ImageFile]
    """In order of their names."""
    ignored: list[SkippedEntry]
    """Files without an image's suffix, hidden files and folders, links to folders, and what is no file."""
    unreadable: list[SkippedEntry]
    """Folders and files that cannot be looked into."""


def scan_folder(folder: Path) -> FolderContent:
    """All images below a folder; what is hidden or a link to a folder is not followed, what cannot be read is listed.

    Raises FolderNotFound, NoImages, and IndexingError where the folder itself cannot be read.
    """
    if not folder.is_dir():
        there = "is a file" if folder.exists() else "does not exist"
        raise FolderNotFound(f"{folder} {there}; name a folder of images ({', '.join(SUFFIXES)})")
    content = FolderContent([], [], [])
    folders = [folder]
    while folders:
        here = folders.pop()
        try:
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            if here == folder:
                raise IndexingError(f"{folder} cannot be read ({error.strerror}); check its permissions") from error
            content.unreadable.append(SkippedEntry(_shown(_name(here, folder)), f"cannot be read ({error.strerror})"))
            continue
        folders += [Path(entry.path) for entry in entries if _sort(entry, folder, content)]
    if not content.files:
        raise NoImages(
            f"{folder} holds no images ({counted(content.ignored + content.unreadable) or 'nothing at all'}); "
            f"allowed are {', '.join(SUFFIXES)} in any folder below it"
        )
    content.files.sort(key=lambda file: file.name)
    for passed in (content.ignored, content.unreadable):
        passed.sort(key=lambda each: each.path)
    return content


def find_images(folder: Path) -> list[Path]:
    """The paths of all images below a folder, in order. Raises FolderNotFound, NoImages, IndexingError."""
    return [file.path for file in scan_folder(folder).files]


def counted(passed: Sequence[SkippedEntry]) -> str:
    """Return the counts by suffix or reason, as in "7 .txt, 2 .heic, 1 hidden"; empty if there are none."""
    kinds = Counter(_kind(each) for each in passed)
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))


def _sort(entry: os.DirEntry[str], folder: Path, content: FolderContent) -> bool:
    """Put an entry where it belongs; true for a folder that is to be looked into."""
    path = Path(entry.path)
    name = _name(path, folder)
    try:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            return True
        if (reason := _ignored(entry)) is not None:
            content.ignored.append(SkippedEntry(_shown(name), reason))
        else:
            content.files.append(ImageFile(path, name, entry.stat().st_size if path.exists() else 0))
    except FileNotFoundError:
        content.unreadable.append(SkippedEntry(_shown(name), "vanished while the folder was read"))
    except OSError as error:
        content.unreadable.append(SkippedEntry(_shown(name), f"cannot be read ({error.strerror})"))
    return False


def _ignored(entry: os.DirEntry[str]) -> str | None:
    suffix = Path(entry.name).suffix.lower()
    if entry.name.startswith("."):
        return HIDDEN
    if entry.is_dir():
        return LINK
    if suffix not in SUFFIXES:
        return f"is a {suffix} file{CONVERT if suffix in OTHER_SUFFIXES else ''}" if suffix else "has no suffix"
    # A broken link is included, so that it is reported; reading a pipe or device would block.
    return None if entry.is_file() or entry.is_symlink() else "is not a file"


def _kind(passed: SkippedEntry) -> str:
    suffix = Path(passed.path).suffix.lower()
    kinds = {HIDDEN: "hidden", LINK: "links to folders"}
    if passed.reason.startswith("is a .") and suffix:
        return suffix
    return kinds.get(passed.reason, passed.reason)


def _shown(name: str) -> str:
    return os.fsencode(name).decode(errors="replace")


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


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
