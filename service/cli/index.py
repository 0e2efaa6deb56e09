"""`vitreid index`: a folder of images into a gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreid.service.cli.options import (
    BatchSize,
    BundleDir,
    GalleryDir,
    Images,
    SkipBad,
    Threads,
    finite_option,
    time_option,
)
from vitreid.service.cli.skipped import print_bad, print_ignored, print_some, reasons
from vitreid.terminal import AsJson, emit, note, progress_bar, report_interrupt

if TYPE_CHECKING:
    from vitreid.bundle.name_pattern import NamePattern
    from vitreid.service.config import ServiceConfig
    from vitreid.service.intake.indexing import IndexReport
    from vitreid.service.intake.labels import LabelSummary

Table = Annotated[Path | None, typer.Option(help="A CSV with path, person_id, camera_id, captured_at, ...")]
Boxes = Annotated[Path | None, typer.Option(help="The images are frames: boxes of persons, as CSV, JSON or MOT.")]
Camera = Annotated[str | None, typer.Option(help="Camera of images for which no file names another.")]
MinConfidence = Annotated[float | None, typer.Option(callback=finite_option, help="MOT: minimum confidence.")]
Fps = Annotated[
    float | None, typer.Option(callback=finite_option, help="MOT: frames per second; with --start, frames get times.")
]
Start = Annotated[
    datetime | None, typer.Option(parser=time_option, metavar="TIME", help="MOT: time of frame 1, in RFC 3339.")
]
TrackPrefix = Annotated[str, typer.Option(help="MOT: prefix of track ids, which count from 1 in each file.")]
Pattern = Annotated[
    str | None, typer.Option(help="Labels in file and folder names, as '{camera}_{time:%Y-%m-%d_%H-%M-%S}_*'.")
]
TimeZone = Annotated[
    str | None, typer.Option(help="Time zone of the times in names, as Europe/Berlin or +02:00; default UTC.")
]
Relabel = Annotated[bool, typer.Option("--relabel", help="Update the labels of images that are there already.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read everything, show the labels, add nothing.")]


def index(
    images: Images,
    gallery: GalleryDir,
    bundle: BundleDir = None,
    table: Table = None,
    boxes: Boxes = None,
    camera: Camera = None,
    min_confidence: MinConfidence = None,
    fps: Fps = None,
    start: Start = None,
    track_prefix: TrackPrefix = "",
    name_pattern: Pattern = None,
    time_zone: TimeZone = None,
    relabel: Relabel = False,
    dry_run: DryRun = False,
    skip_bad: SkipBad = False,
    batch_size: BatchSize = 32,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Add a folder of images to a gallery; images that are there already keep their labels without --relabel.

    Person and camera come from --table, --name-pattern, or file names like 0002_c1s1_000451_03.jpg. With --boxes the
    images are frames, and every box becomes an item. The gallery's settings say which quality is accepted.
    """
    mot = (min_confidence, fps, start, track_prefix)
    _check_options(boxes, table, mot, name_pattern, time_zone)
    with report_interrupt("run the same command again to resume"):
        from vitreid.service.cli.opening import gallery_to_fill, image_limits, open_embedder
        from vitreid.service.config import load_config
        from vitreid.service.intake.boxes import BoxSource
        from vitreid.service.intake.folders import read_folder
        from vitreid.service.intake.indexing import index_folder
        from vitreid.service.values.texts import check_label

        config = load_config(bundle=bundle, threads=threads)
        # Mistakes in labels are found before a model is loaded or a gallery made.
        if camera is not None:
            check_label("--camera", camera)
        check_label("--track-prefix", f"{track_prefix}1")
        source = None if boxes is None else BoxSource(boxes, camera, *mot)
        pattern = None if name_pattern is None else _parse_pattern(name_pattern, time_zone)
        folder = read_folder(images, table=table, boxes=source, camera_id=camera, pattern=pattern)
        embedder = open_embedder(config, gallery, batch_size=batch_size)
        title = "reading" if dry_run else "indexing"
        with gallery_to_fill(config, gallery, embedder, dry_run=dry_run) as opened, progress_bar(title) as progress:
            report = index_folder(
                folder, opened, embedder, limits=image_limits(config), relabel=relabel, batch_size=batch_size,
                dry_run=dry_run, progress=progress,
            )  # fmt: skip
        if not dry_run:
            _record(config, gallery, report)
    if not as_json:
        _print_notes(report)
    emit(_values(report, gallery, dry_run=dry_run), _lines(report, gallery, dry_run=dry_run), as_json=as_json)
    raise typer.Exit(1 if report.bad and not skip_bad else 0)


def _check_options(
    boxes: Path | None, table: Path | None, mot: tuple[object, ...], name_pattern: str | None, time_zone: str | None
) -> None:
    if boxes is None and mot != (None, None, None, ""):
        raise typer.BadParameter("--min-confidence, --fps, --start and --track-prefix need --boxes")
    if time_zone is not None and name_pattern is None:
        raise typer.BadParameter("--time-zone is for the times in names and needs --name-pattern")
    if boxes is not None and table is not None:
        raise typer.BadParameter("--table is for crops; label persons in frames in the file of --boxes")


def _parse_pattern(text: str, time_zone: str | None) -> NamePattern:
    from vitreid.bundle.name_pattern import NamePattern

    pattern = NamePattern.parse(text, time_zone)
    if pattern.assumes_utc:
        note("the times in names are taken as UTC; give --time-zone for another")
    return pattern


def _record(config: ServiceConfig, gallery: Path, report: IndexReport) -> None:
    from vitreid.service.cli.opening import record

    if report.added:
        record(config, gallery, "add")
    if report.relabelled:
        changed = [each.item_id for each in report.differing if each.item_id is not None]
        record(config, gallery, "patch", items=changed)


def _values(report: IndexReport, gallery: Path, *, dry_run: bool) -> dict[str, object]:
    return {
        "gallery": gallery,
        "dry_run": dry_run,
        "added": report.added,
        "duplicates": report.duplicates,
        "relabelled": report.relabelled,
        "differing": [
            {"path": each.path, "item_id": each.item_id, "labels": each.differing} for each in report.differing
        ],
        "labels": report.labels and {name: n for name, n in asdict(report.labels).items() if name != "examples"},
        "bad": reasons(report.bad),
        "rejected": reasons(report.rejected),
        "warnings": [{"path": each.path, "reason": each.warning} for each in report.warnings],
        "ignored": reasons(report.ignored),
        "seconds": round(report.seconds, 3),
        "images_per_s": round(report.images_per_s, 1),
    }


def _print_notes(report: IndexReport) -> None:
    print_bad(report.bad)
    warnings = [f"warning: {each.path}: {each.warning}" for each in report.warnings]
    print_some(warnings, "warning: and {left:,} more; --json lists all")
    print_ignored(report.ignored)


def _lines(report: IndexReport, gallery: Path, *, dry_run: bool) -> Iterator[str]:
    if dry_run and report.labels is not None:
        yield from _label_lines(report.labels)
    rules = Counter(each.violation.rule for each in report.rejected)
    broken = ", ".join(f"{rule} {count:,}" for rule, count in sorted(rules.items()))
    rejected = f", {len(report.rejected):,} rejected ({broken})" if rules else ""
    yield (
        f"{'would add' if dry_run else 'added'} {report.added:,} to {gallery}, {report.duplicates:,} there already"
        f"{_differing(report)}, {sum(each.items for each in report.bad):,} unusable{rejected}; "
        f"{report.seconds:.1f} s, {report.images_per_s:,.0f} images/s"
    )


def _differing(report: IndexReport) -> str:
    if not report.differing:
        return ""
    if report.relabelled:
        return f" ({report.relabelled:,} of them relabelled)"
    names = ", ".join(sorted({name for each in report.differing for name in each.differing}))
    return f" ({len(report.differing):,} of them with another {names}; --relabel updates them)"


def _label_lines(labels: LabelSummary) -> Iterator[str]:
    from vitreid.bundle.vocabulary import LABELS

    times = f"{labels.first:%Y-%m-%dT%H:%M:%SZ} to {labels.last:%Y-%m-%dT%H:%M:%SZ}" if labels.first else "none"
    yield (
        f"read {labels.images:,} images: {labels.persons:,} persons ({labels.without_person:,} images without), "
        f"{labels.cameras:,} cameras ({labels.without_camera:,} without), {labels.tracks:,} tracks, times {times} "
        f"({labels.without_time:,} without)"
    )
    for path, label in labels.examples:
        values = {name: getattr(label, name) for name in LABELS}
        shown = [
            f"{name} {value.isoformat() if isinstance(value, datetime) else value}"
            for name, value in values.items()
            if value is not None
        ]
        yield f"  {path}: {', '.join(shown) or 'no labels'}"
