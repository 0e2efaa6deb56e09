"""`vitreid gallery`: list, verify, rebuild, re-embed, erase from and export galleries; backups have their own file."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vitreid.service.cli import gallery_backup, gallery_text
from vitreid.service.cli.opening import open_bundle, open_embedder, record
from vitreid.service.cli.options import BatchSize, BundleDir, GalleryFolder, Threads, id_option
from vitreid.service.config import load_config
from vitreid.service.errors import BadParameter
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.maintenance import on_demand, overview, reembedding, verification
from vitreid.service.gallery.maintenance.export import export_items
from vitreid.service.gallery.rows.erasure import check_reason
from vitreid.service.intake.cameras import map_cameras, report_cameras
from vitreid.service.values.times import utc_now
from vitreid.terminal import AsJson, emit, progress_bar, report_interrupt

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List, verify, back up and maintain galleries.")
app.command()(gallery_backup.backup)
app.command()(gallery_backup.restore)
app.command("drop-backup")(gallery_backup.drop_backup)

Data = Annotated[Path | None, typer.Argument(help="Data folder of a service; default VITREID_DATA.")]
Decode = Annotated[bool, typer.Option("--images", help="Decode every stored image too.")]
Index = Annotated[str | None, typer.Option(help="Type of index; default VITREID_INDEX, or by the number of items.")]
Mapping = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="CAMERA=MODEL_CAMERA", help="Repeated; replaces the whole mapping."),
]
NewBundle = Annotated[Path, typer.Option(help="The new model.")]
DropWithoutImage = Annotated[bool, typer.Option("--drop-without-image", help="Delete items without a stored image.")]
Generation = Annotated[int, typer.Argument(help="Its number, from `vitreid gallery info`.")]
ItemIds = Annotated[
    list[int] | None, typer.Option(parser=id_option, metavar="ID", help="An item's id; may be repeated.")
]
Person = Annotated[str | None, typer.Option(help="All items with this person_id.")]
Reason = Annotated[str | None, typer.Option(help="For the receipt, which is stored: name nobody.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
Out = Annotated[Path, typer.Argument(help="The file to write: .jsonl or .csv.")]
Embeddings = Annotated[Path | None, typer.Option(help="An .npz to write: arrays `id` and `embedding`.")]


@app.command("list")
def list_galleries(data: Data = None, as_json: AsJson = False) -> None:
    """List the galleries of a service, with the reason where one cannot be opened."""
    found = overview.list_galleries(load_config(data=data).galleries_folder)
    emit(found, gallery_text.listed(found), as_json=as_json)


@app.command()
def info(gallery: GalleryFolder, as_json: AsJson = False) -> None:
    """Describe a gallery: items, settings, embedding generations and backups."""
    found = overview.describe(gallery)
    emit(found, gallery_text.details(found), as_json=as_json)


@app.command()
def verify(gallery: GalleryFolder, images: Decode = False, as_json: AsJson = False) -> None:
    """Read everything and compare it; exit code 1 where something is wrong. Changes nothing."""
    with progress_bar("reading", "items") as progress:
        found = verification.verify(
            gallery, decode_images=images, progress=lambda what, done, total: progress(done, total, what)
        )
    emit(found, gallery_text.verified(found), as_json=as_json)
    raise typer.Exit(1 if found.findings else 0)


@app.command()
def rebuild(gallery: GalleryFolder, index: Index = None, as_json: AsJson = False) -> None:
    """Rebuild index and snapshot from the rows, and purge what deletions left. Not while a service runs."""
    built = on_demand.rebuild(gallery, load_config(index=index).index)
    values = {"index": built.index, "items": built.items, "parameters": built.index_parameters}
    text = f"built index {built.index} of {built.items:,} items ({built.index_reason}) and wrote a snapshot"
    emit(values, text, as_json=as_json)


@app.command()
def cameras(gallery: GalleryFolder, bundle: BundleDir = None, mapping: Mapping = None, as_json: AsJson = False) -> None:
    """Show or set which model camera each camera of a gallery is; a camera without one is unknown to the model."""
    pairs = dict(_pair(each) for each in mapping or ())
    config = load_config(bundle=bundle)
    manifest = open_bundle(config, gallery).manifest
    with Gallery.open_existing(gallery) as opened:
        if pairs:
            map_cameras(opened, manifest, pairs)
        found = report_cameras(opened, manifest)
    emit(found, gallery_text.cameras(found), as_json=as_json)
    if pairs:
        record(config, gallery, "camera-mapping")


@app.command()
def reembed(
    gallery: GalleryFolder,
    bundle: NewBundle,
    batch_size: BatchSize = 32,
    threads: Threads = None,
    drop_without_image: DropWithoutImage = False,
    as_json: AsJson = False,
) -> None:
    """Embed a gallery with another model from its stored images; it answers with the old one until the end.

    A service that runs with the old model refuses its requests from then on: start it again with the new bundle.
    """
    embedder = open_embedder(load_config(bundle=bundle, threads=threads))
    with (
        report_interrupt("what was embedded is stored; run the same command again to resume"),
        progress_bar("embedding") as progress,
        Gallery.open_existing(gallery) as opened,
    ):
        done = reembedding.reembed(
            opened, embedder, utc_now, batch_size=batch_size, drop_without_image=drop_without_image,
            progress=progress,
        )  # fmt: skip
    text = (
        f"{done.items:,} items answer with bundle {done.bundle_id[: gallery_text.SHOWN_BUNDLE]} (generation "
        f"{done.generation}) now, {len(done.dropped):,} without an image were deleted; restart services of this "
        "gallery with it, and drop the old embeddings with "
        f"`vitreid gallery drop-generation GALLERY {done.previous}`"
    )
    emit(asdict(done), text, as_json=as_json)


@app.command("drop-generation")
def drop_generation(gallery: GalleryFolder, generation: Generation, as_json: AsJson = False) -> None:
    """Remove the embeddings of a model that is not in use any more."""
    with Gallery.open_existing(gallery) as opened:
        reembedding.drop_generation(opened, generation)
    emit({"generation": generation}, f"generation {generation} is gone", as_json=as_json)


@app.command()
def erase(
    gallery: GalleryFolder,
    item: ItemIds = None,
    person: Person = None,
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase items for good and print a receipt, also while a service runs."""
    if not item and person is None:
        raise BadParameter("nothing to erase was named; give --item ID or --person LABEL")
    if reason is not None:
        check_reason(reason)
    with Gallery.open_existing(gallery) as opened:
        ids = on_demand.ids_to_erase(opened, item or [], person)
        question = f"Erase {len(ids):,} of the {len(opened):,} items in {gallery} for good?"
        if not yes and not _confirmed(question):
            print("vitreid: nothing was erased", file=sys.stderr)
            raise typer.Exit(1)
        receipt = on_demand.erase_items(opened, ids, reason)
    record(load_config(), gallery, "erase", items=receipt.item_ids)
    emit(receipt, gallery_text.erased(receipt), as_json=as_json)


@app.command()
def export(gallery: GalleryFolder, out: Out, embeddings: Embeddings = None, as_json: AsJson = False) -> None:
    """Write all items as JSON lines or CSV; each file appears whole or not at all."""
    with report_interrupt(f"{out} was not written"):
        with Gallery.open_existing(gallery) as opened, progress_bar("writing", "items") as progress:
            exported = export_items(opened, out, embeddings=embeddings, progress=progress)
        record(load_config(), gallery, "export")
    emit({"out": out, "items": exported.items}, f"wrote {exported.items:,} items to {out}", as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    camera, equals, model_camera = text.partition("=")
    if not equals or not camera or not model_camera:
        raise BadParameter(f"--map {text!r} is not CAMERA=MODEL_CAMERA, such as gate=c1")
    return camera, model_camera


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise BadParameter("nobody can confirm without a terminal; give --yes (nothing was erased)") from None
