"""Data sets of drawn people on disk, in the layout of Market-1501."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from vitreid.synthetic.errors import FolderRefused, InvalidRequest
from vitreid.synthetic.image import SIZE, image
from vitreid.synthetic.randomness import stream
from vitreid.synthetic.work import run_in_processes

FORMAT_VERSION = 1
DRAWING_VERSION = 1
"""Increased when the same parameters give other images, so that old folders are not reused."""

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
PARAMETERS_FILE = "synthetic.json"
JPEG_QUALITY = 90


def is_drawn(folder: Path) -> bool:
    """Return whether the images of a data set are drawn people."""
    return (folder / PARAMETERS_FILE).is_file()


@dataclass(frozen=True)
class Drawing:
    """The parameters that determine a data set; `images` is the number for each identity and camera."""

    identities: int
    cameras: int
    images: int
    seed: int
    train_identities: int
    height: int
    width: int

    def __post_init__(self) -> None:
        limits = {
            "identities": (1, 9999),
            "cameras": (1, 99),
            "images": (1, 999_999),
            "seed": (0, 2**63 - 1),
            "train_identities": (0, self.identities),
            "height": (32, 1024),
            "width": (16, 1024),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidRequest(f"{name} is {value}; allowed are {low} to {high}; choose a number in that range")
        if self.images == 1 and self.cameras == 1 and self.train_identities < self.identities:
            raise InvalidRequest(
                "cameras is 1 and images is 1, so test identities would have a query but no gallery; "
                "choose at least 2 cameras or 2 images"
            )

    @property
    def image_count(self) -> int:
        """The number of images of the data set."""
        return self.identities * self.cameras * self.images


@dataclass(frozen=True)
class DatasetSummary:
    """The numbers of images in a folder; `reused` is true if it existed before."""

    path: Path
    train: int
    query: int
    gallery: int
    identities: int
    cameras: int
    reused: bool = False


def draw_dataset(
    out: Path, *, identities: int, cameras: int, images: int, seed: int, train_identities: int = 0,
    size: tuple[int, int] = SIZE, workers: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> DatasetSummary:  # fmt: skip
    """Draw a data set into a new folder, or reuse a complete one with the same parameters.

    `images` = images per identity and camera; `size` = (height, width); `workers` = processes (None: the number of
    cores; small data sets are drawn in this process); `progress` is called with (images done, images in all).
    The first `train_identities` identities are for training. Of each other identity and camera the first image is a
    query and the rest are gallery; with one image each, one camera per identity gives the query.

    Raises InvalidRequest, FolderRefused or DrawingStopped. A failure leaves no files.
    """
    drawing = Drawing(identities, cameras, images, seed, train_identities, *size)
    if workers is not None and workers < 1:
        raise InvalidRequest(f"workers is {workers}; allowed are 1 and more; leave it out to use all cores")
    out = Path(out)
    summary = summarise(drawing, out)
    if already_drawn(out, drawing, summary):
        return replace(summary, reused=True)
    with new_folder(out) as folder:
        for part in (TRAIN, QUERY, GALLERY):
            (folder / part).mkdir()
        draw = partial(draw_identity, drawing, folder)
        run_in_processes(draw, range(1, identities + 1), images=drawing.image_count, workers=workers, progress=progress)
        write_json(folder / PARAMETERS_FILE, description(drawing, summary))
    return summary


def draw_identity(drawing: Drawing, folder: Path, identity: int) -> int:
    """Draw all images of an identity into the folder's parts and return their number."""
    for camera in range(1, drawing.cameras + 1):
        for n in range(drawing.images):
            pixels = image(drawing.seed, identity, camera, n, (drawing.height, drawing.width)).pixels
            file = folder / part_of(drawing, identity, camera, n) / f"{identity:04d}_c{camera}s1_{n + 1:06d}_00.jpg"
            Image.fromarray(pixels).save(file, quality=JPEG_QUALITY)
    return drawing.cameras * drawing.images


def part_of(drawing: Drawing, identity: int, camera: int, n: int) -> str:
    """Return the part of the data set for an image."""
    if identity <= drawing.train_identities:
        return TRAIN
    if drawing.images == 1:
        return QUERY if camera == query_camera(drawing, identity) else GALLERY
    return QUERY if n == 0 else GALLERY


def query_camera(drawing: Drawing, identity: int) -> int:
    """Return the camera of an identity's only query if there is one image per camera."""
    return 1 + int(stream(drawing.seed, "query", identity).integers(drawing.cameras))


def summarise(drawing: Drawing, out: Path) -> DatasetSummary:
    """Return the numbers of images of a data set."""
    tested = drawing.identities - drawing.train_identities
    query = tested * (1 if drawing.images == 1 else drawing.cameras)
    per_identity = drawing.cameras * drawing.images
    train = drawing.train_identities * per_identity
    gallery = tested * per_identity - query
    return DatasetSummary(out, train, query, gallery, drawing.identities, drawing.cameras)


def description(drawing: Drawing, summary: DatasetSummary) -> dict[str, Any]:
    """Return the content of synthetic.json."""
    counts = {"train": summary.train, "query": summary.query, "gallery": summary.gallery}
    versions = {"format_version": FORMAT_VERSION, "drawing_version": DRAWING_VERSION}
    return {**versions, "parameters": asdict(drawing), "counts": counts}


def already_drawn(out: Path, drawing: Drawing, summary: DatasetSummary) -> bool:
    """Return whether the folder holds this data set, complete. Raises FolderRefused if it holds something else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise FolderRefused(f"{out} is a file; give the name of a new folder")
    names = sorted(entry.name for entry in out.iterdir())
    if not names:
        return False
    if PARAMETERS_FILE not in names:
        raise FolderRefused(f"{out} is not empty and has no {PARAMETERS_FILE}; give the name of a new folder")
    found = read_json(out / PARAMETERS_FILE)
    if found != description(drawing, summary):
        raise FolderRefused(f"{out} holds {difference(found, drawing)}; delete it or give the name of a new folder")
    expected = {TRAIN: summary.train, QUERY: summary.query, GALLERY: summary.gallery}
    for part, count in expected.items():
        images = sum(1 for _ in (out / part).glob("*.jpg"))
        if images != count:
            raise FolderRefused(f"{out / part} has {images} images instead of {count}; delete {out} and draw it again")
    return True


def difference(found: Any, drawing: Drawing) -> str:
    """Describe in words how the description of a folder differs from the requested drawing."""
    parameters = found.get("parameters") if isinstance(found, dict) else None
    if not isinstance(parameters, dict):
        return f"a {PARAMETERS_FILE} of another program"
    other = [f"{k} {parameters.get(k)} instead of {v}" for k, v in asdict(drawing).items() if parameters.get(k) != v]
    return f"another drawing ({', '.join(other) or 'by another version'})"


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary sibling that becomes `out` at the end, or is removed on any error.

    Only the description and the folders are synced: syncing each image would take as long as drawing it.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise FolderRefused(f"{out} cannot be made ({error.strerror}); give a folder that you may write to") from error
    try:
        yield folder
        folder.chmod(0o755)
        for part in (TRAIN, QUERY, GALLERY):
            sync(folder / part)
        sync(folder)
        if out.is_dir():
            out.rmdir()
        folder.rename(out)
        sync(out.parent)
    except BaseException:  # also Ctrl-C
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write a JSON file and sync it to disk."""
    with file.open("w", encoding="utf-8") as opened:
        opened.write(json.dumps(content, indent=2) + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def read_json(file: Path) -> Any:
    """Return the content of a JSON file; None if it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return None


def sync(folder: Path) -> None:
    """Sync a folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
