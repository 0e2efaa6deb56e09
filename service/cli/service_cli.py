"""The commands of the service: index, embed, query, serve, demo. Each parses, calls one function and prints."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from vitreid.service.cli.options import finite_option, time_option

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

INTERRUPTED = 130

Images = Annotated[Path, typer.Argument(help="A folder of images, searched with its subfolders.")]
GalleryDir = Annotated[
    Path,
    typer.Option(
        "--gallery", help="The gallery's folder; `vitreid serve --data DATA` has it in DATA/galleries/default."
    ),
]
BundleDir = Annotated[
    Path | None, typer.Option("--bundle", help="The model; VITREID_BUNDLE, or the starter bundle, when left out.")
]
BatchSize = Annotated[int, typer.Option(min=1, max=1024, help="Images embedded at a time.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="Cores to use; all when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Unreadable images are listed but no failure.")]


@app.command()
def index(
    images: Images,
    gallery: GalleryDir,
    bundle: BundleDir = None,
    table: Annotated[Path | None, typer.Option(help="A CSV with path, person_id, camera_id, captured_at, ...")] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="The images are frames: persons' boxes in them, as CSV, JSON or MOT.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="The camera of images where no file says another.")] = None,
    min_confidence: Annotated[
        float | None, typer.Option(callback=finite_option, help="MOT: leave out detections below.")
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(callback=finite_option, help="MOT: frames per second; with --start, frames get times."),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(parser=time_option, metavar="TIME", help="MOT: when frame 1 was taken, as 2026-05-01T09:30:00Z."),
    ] = None,
    track_prefix: Annotated[str, typer.Option(help="MOT: put before track ids, which count from 1 in each file.")] = "",
    name_pattern: Annotated[
        str | None,
        typer.Option(help="What names of files and folders say, as '{camera}_{time:%Y-%m-%d_%H-%M-%S}_*'."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Of the times in names, as Europe/Berlin or +02:00; UTC when left out.")
    ] = None,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="Give images that are there already the labels that differ.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, show the labels, add nothing.")] = False,
    skip_bad: SkipBad = False,
    batch_size: BatchSize = 32,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Add a folder of images to a gallery; images that are there already keep their labels without --relabel.

    Person and camera come from --table, --name-pattern, or file names like 0002_c1s1_000451_03.jpg. With --boxes the
    images are frames, and every box becomes an item. The gallery's settings say which quality is taken.
    """
    if boxes is None and (min_confidence, fps, start, track_prefix) != (None, None, None, ""):
        raise typer.BadParameter("--min-confidence, --fps, --start and --track-prefix belong to --boxes")
    if time_zone is not None and name_pattern is None:
        raise typer.BadParameter("--time-zone is that of the times in names; give --name-pattern")
    if boxes is not None and table is not None:
        raise typer.BadParameter("--table is for crops; persons in frames are labelled in the file of --boxes")
    try:
        from vitreid.service.cli import actions as commands
        from vitreid.service.cli import reports
        from vitreid.service.cli.recording import record
        from vitreid.service.intake.boxes import BoxSource
        from vitreid.service.values.texts import check_label

        if camera is not None:
            check_label("--camera", camera)
        check_label("--track-prefix", f"{track_prefix}1")
        report = commands.index_images(
            images,
            gallery,
            bundle=bundle,
            table=table,
            boxes=None if boxes is None else BoxSource(boxes, camera, min_confidence, fps, start, track_prefix),
            camera=camera,
            pattern=commands.name_pattern(name_pattern, time_zone),
            relabel=relabel,
            dry_run=dry_run,
            batch_size=batch_size,
            threads=threads,
        )
        if report.added and not dry_run:
            record(gallery, "add")
        if report.relabelled:
            record(gallery, "patch", items=[each.item_id for each in report.differing if each.item_id is not None])
    except KeyboardInterrupt:
        _interrupted("run the same command again to resume")
    reports.print_index(report, gallery, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(1 if report.bad and not skip_bad else 0)


@app.command()
def embed(
    images: Images,
    out: Annotated[Path, typer.Option("--out", help="The .npz to write: arrays `path` and `embedding`.")],
    bundle: BundleDir = None,
    skip_bad: SkipBad = False,
    batch_size: BatchSize = 32,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Embed a folder of images into one file; it appears whole or not at all."""
    try:
        from vitreid.service.cli import actions as commands
        from vitreid.service.cli import reports

        report = commands.embed_images(images, out, bundle=bundle, batch_size=batch_size, threads=threads)
    except KeyboardInterrupt:
        _interrupted(f"{out} was not written")
    reports.print_embed(report, out, as_json=as_json)
    raise typer.Exit(1 if report.bad and not skip_bad else 0)


@app.command()
def query(
    images: Annotated[list[Path], typer.Argument(help="Images; each is a query of its own.")],
    gallery: GalleryDir,
    bundle: BundleDir = None,
    k: Annotated[int, typer.Option("-k", min=1, max=10_000, help="Candidates per query: items, or groups.")] = 10,
    camera: Annotated[
        str | None, typer.Option(help="The camera of the images; from their names when left out.")
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="All images show one person: one query.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A condition as in the API: cameras=c1, since=..., min_height=64."),
    ] = None,
    exclude_same_camera: Annotated[
        bool, typer.Option("--exclude-same-camera", help="No items of the query's own camera.")
    ] = False,
    min_score: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Leave out candidates below; the gallery's own if absent.")
    ] = None,
    min_probability: Annotated[
        float | None, typer.Option(help="Leave out candidates whose probability is below; for a calibrated model.")
    ] = None,
    group_by: Annotated[str, typer.Option(help="One candidate per item, person, track or camera.")] = "item",
    expand: Annotated[int, typer.Option(help="Search again with the mean of the query and so many best.")] = 0,
    rerank: Annotated[str, typer.Option(help="none, k-reciprocal or patches.")] = "none",
    rerank_top: Annotated[int | None, typer.Option(help="How many of the best are re-ranked.")] = None,
    rerank_k1: Annotated[int | None, typer.Option(help="Of k-reciprocal: neighbours looked at, 20.")] = None,
    rerank_k2: Annotated[int | None, typer.Option(help="Of k-reciprocal: neighbours averaged, 6.")] = None,
    rerank_lambda: Annotated[float | None, typer.Option(help="Of k-reciprocal: original share, 0.3.")] = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Find candidates in a gallery that look like the person in an image.

    Scores are cosine likenesses, not identities: a human decides.
    """
    options = {
        "k": k,
        "min_score": min_score,
        "min_probability": min_probability,
        "group_by": group_by,
        "exclude_same_camera": exclude_same_camera,
        "expand": expand,
        "rerank": rerank,
        "rerank_top": rerank_top,
        "rerank_k1": rerank_k1,
        "rerank_k2": rerank_k2,
        "rerank_lambda": rerank_lambda,
    }
    try:
        from vitreid.service.cli import query_actions as query_commands
        from vitreid.service.cli import query_reports as query_report
        from vitreid.service.cli.recording import record

        params = query_commands.search_params(where or [], options)
        answers = query_commands.query_images(
            images, gallery, params.request(), bundle=bundle, camera=camera, together=together, threads=threads
        )
        shown = [candidate.match.item.id for each in answers if each.result for candidate in each.result.candidates]
        record(gallery, "query", shown)
    except KeyboardInterrupt:
        _interrupted("nothing was changed")
    query_report.print_answers(answers, group_by=params.group_by, as_json=as_json)
    raise typer.Exit(1 if any(answer.error for answer in answers) else 0)


@app.command()
def serve(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the galleries, DATA/galleries/NAME; `default` is made where it is missing."),
    ] = None,
    bundle: BundleDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 when left out.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on; 8000 when left out, 0 = any."),
    ] = None,
    threads: Threads = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow an address that other machines can reach, without API keys.")
    ] = False,
    show_config: Annotated[bool, typer.Option("--show-config", help="Print the settings and end.")] = False,
) -> None:
    """Serve the galleries of a folder over HTTP: the page at /, the API described at /docs. Ctrl-C ends it.

    Every setting can also come from a VITREID_* variable; see --show-config.
    """
    from vitreid.service.config import config_lines, load_config, unknown_variables

    config = load_config(data=data, bundle=bundle, host=host, port=port, threads=threads, insecure=insecure or None)
    if show_config:
        for line in unknown_variables(os.environ):
            typer.echo(f"vitreid: {line}", err=True)
        typer.echo("\n".join(config_lines(config)))
        return
    try:
        from vitreid.service.cli import actions as commands

        commands.serve(config)
    except KeyboardInterrupt:
        _interrupted("stopped before it served anything")


@app.command()
def demo(
    train: Annotated[bool, typer.Option("--train", help="Make the model first (minutes).")] = False,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the first query.")] = False,
    data: Annotated[Path, typer.Option(help="Where drawn people, model and gallery are kept.")] = Path("demo"),
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to serve on; 8000 when left out, 0 = any.")
    ] = None,
) -> None:
    """Draw people seen by six cameras, index them, serve them and answer a first query."""
    try:
        from vitreid.service.cli.demo import run_demo

        run_demo(data, port=port, train=train, serve=not no_serve)
    except KeyboardInterrupt:
        _interrupted("finished steps are kept; run the same command again to resume")


def _interrupted(what: str) -> NoReturn:
    print(f"vitreid: interrupted: {what}", file=sys.stderr)
    raise typer.Exit(INTERRUPTED)
