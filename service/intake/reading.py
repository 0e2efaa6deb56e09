"""The files of a folder, read and prepared by threads ahead of the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitreid.bundle import ImageError
from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.name_pattern import NamePattern
from vitreid.service.intake.box_files import read_boxes
from vitreid.service.intake.boxes import BoxSource, PersonBox
from vitreid.service.intake.folders import Found, ImageFile
from vitreid.service.intake.labels import Label, labels_of_names, read_table
from vitreid.service.intake.prefetch import WORKERS, ahead
from vitreid.service.intake.preparing import (
    Duplicate,
    InvalidBox,
    Outcome,
    Prepared,
    QualityRejected,
    ReceivedImage,
    Rules,
    chunked,
    prepare_image,
)

ITEMS_AT_ONCE = 8

KnownHashes = Callable[[set[str]], Collection[str]]
"""Gives those of the hashes that are known."""


@dataclass(frozen=True)
class Task:
    """A file to read: a crop of a person, or a frame with boxes."""

    file: ImageFile
    label: Label
    boxes: Sequence[PersonBox] | None = None

    @property
    def labels(self) -> list[tuple[str, Label]]:
        """What is known of each of its items, with the file's name."""
        every = [self.label] if self.boxes is None else [box.label for box in self.boxes]
        return [(self.file.name, label) for label in every]

    @property
    def items(self) -> int:
        """How many items it may become."""
        return 1 if self.boxes is None else len(self.boxes)


@dataclass(frozen=True)
class SkippedFile:
    """A file or a box in it that did not become an item."""

    path: str
    """Relative to the folder; of a box with its line or entry in the file of boxes."""
    reason: str
    items: int = 1
    """How many items are missing: those of all boxes of a frame that cannot be read."""
    rule: str | None = None
    """The rule of quality that it breaks; None: it cannot be read, or shows no person."""
    camera_id: str | None = None


def unreadable_of(found: Found) -> list[SkippedFile]:
    """What of a folder cannot be looked into, as files that did not become items."""
    return [SkippedFile(each.path, each.reason) for each in found.unreadable]


def crops_of(
    found: Found, table: Path | None = None, camera_id: str | None = None, pattern: NamePattern | None = None
) -> list[Task]:
    """A task for each file, labelled by a table, a name pattern, a given camera and the file's name, in this order.

    Raises TableError and NamePatternError.
    """
    names = [file.name for file in found.files]
    if table is None:
        labels = labels_of_names(names, camera_id=camera_id, pattern=pattern)
    else:
        labels = read_table(table, names, camera_id=camera_id, pattern=pattern)
    return [Task(file, labels[file.name]) for file in found.files]


def frames_of(found: Found, boxes: BoxSource, pattern: NamePattern | None = None) -> list[Task]:
    """A task for each file with boxes; a name pattern gives those a camera and a time that have none.

    Raises TableError and NamePatternError.
    """
    of_frame = read_boxes(boxes, {file.name for file in found.files})
    files = [file for file in found.files if file.name in of_frame]
    named = labels_of_names([file.name for file in files], pattern=pattern) if pattern else {}
    if any(label.person_id or label.track_id for label in named.values()):
        raise NamePatternError("persons and tracks of frames are those of their boxes; leave them out of the pattern")
    return [Task(file, Label(), [_named(box, named.get(file.name)) for box in of_frame[file.name]]) for file in files]


def _named(box: PersonBox, said: Label | None) -> PersonBox:
    if said is None:
        return box
    label = box.label
    camera_id, time = label.camera_id or said.camera_id, label.captured_at or said.captured_at
    return replace(box, label=replace(label, camera_id=camera_id, captured_at=time))


def prepared(
    tasks: Sequence[Task], rules: Rules, known: KnownHashes, *, batch_size: int
) -> Generator[list[Prepared | Duplicate | SkippedFile], None, None]:
    """What became of each item, a few files at a time, in order; closing it early stops the threads."""
    # Two batches ahead: while the model runs, the next batch gets ready however unevenly the cores are shared.
    depth = 1 + 2 * batch_size // (ITEMS_AT_ONCE * WORKERS)
    few = chunked(tasks, lambda task: (task.items, task.file.size), most=ITEMS_AT_ONCE)
    return ahead(lambda portion: _prepare(portion, rules, known), few, depth=depth)


def _prepare(tasks: Sequence[Task], rules: Rules, known: KnownHashes) -> list[Prepared | Duplicate | SkippedFile]:
    images = [_read(task) for task in tasks]
    hashes = known({each for image in images if isinstance(image, ReceivedImage) for each in image.hashes})
    results: list[Prepared | Duplicate | SkippedFile] = []
    for task, image in zip(tasks, images, strict=True):
        if isinstance(image, SkippedFile):
            results.append(image)
            continue
        try:
            outcomes = prepare_image(image, rules, hashes)
        except ImageError as error:
            results.append(SkippedFile(error.name, error.reason, task.items))
        else:
            results += [_result(task, place, outcome) for place, outcome in enumerate(outcomes)]
    return results


def _read(task: Task) -> ReceivedImage | SkippedFile:
    try:
        return ReceivedImage(task.file.name, task.file.read(), task.label, task.boxes)
    except ImageError as error:
        return SkippedFile(error.name, error.reason, task.items)


def _result(task: Task, place: int, outcome: Outcome) -> Prepared | Duplicate | SkippedFile:
    if isinstance(outcome, Prepared | Duplicate):
        return outcome
    path = task.file.name if task.boxes is None else f"{task.file.name}, {task.boxes[place].where}"
    if isinstance(outcome, InvalidBox):
        return SkippedFile(path, outcome.reason)
    assert isinstance(outcome, QualityRejected)
    return SkippedFile(path, outcome.breach.reason, rule=outcome.breach.rule, camera_id=outcome.camera_id)
