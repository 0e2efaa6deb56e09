"""`vitreid gallery`: look after galleries: verify, back up, restore, embed again, erase, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from vitreid.service.cli import gallery_actions as commands
from vitreid.service.cli import gallery_reports as reports
from vitreid.service.cli.options import id_option
from vitreid.service.cli.recording import record
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.any_bundle import open_as_it_is
from vitreid.service.gallery.rows.erasure import check_reason
from vitreid.service.indexes import AUTO

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

INTERRUPTED = 130

Folder = Annotated[Path, typer.Argument(metavar="GALLERY", help="A gallery's folder, as DATA/galleries/default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("list")
def list_galleries(
    data: Annotated[Path, typer.Argument(help="A service's data folder.")], as_json: AsJson = False
) -> None:
    """List the galleries of a service; one that cannot be opened says why."""
    reports.print_list(commands.list_galleries(data), as_json=as_json)


@app.command()
def info(gallery: Folder, as_json: AsJson = False) -> None:
    """Tell what is in a gallery, its settings, its models' embeddings and its backups."""
    reports.print_details(commands.describe(gallery), as_json=as_json)


@app.command()
def verify(
    gallery: Folder,
    images: Annotated[bool, typer.Option("--images", help="Decode every stored image too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read everything and compare it; exit code 1 where something is not as it must be. Changes nothing."""
    from vitreid.service.gallery.maintenance.verification import verify as verify_gallery

    with reports.progress("reading") as tell:
        verified = verify_gallery(gallery, decode_images=images, progress=lambda what, *done: tell(*done, what))
    reports.print_verified(verified, as_json=as_json)
    raise typer.Exit(1 if verified.findings else 0)


@app.command()
def rebuild(
    gallery: Folder,
    index: Annotated[str, typer.Option(help="The kind of index; by the number of items when left out.")] = AUTO,
    as_json: AsJson = False,
) -> None:
    """Make index and snapshot anew from the rows, and purge what deletions left. Not while a service runs."""
    reports.print_rebuilt(commands.rebuild(gallery, index), as_json=as_json)


@app.command()
def backup(
    gallery: Folder,
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    as_json: AsJson = False,
) -> None:
    """Write a backup, also while a service runs; it appears whole or not at all."""
    try:
        with reports.progress("copying", unit="bytes") as tell:
            manifest = commands.back_up_gallery(gallery, out, tell)
        record(gallery, "backup")
    except KeyboardInterrupt:
        _interrupted(f"{out} was not written")
    reports.print_backup(manifest, out, as_json=as_json)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="A folder that `vitreid gallery backup` made.")],
    gallery: Folder,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the gallery that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a gallery what it was; what was erased since the backup is erased again. Not while a service runs."""
    from vitreid.service.gallery.maintenance.restoring import restore as restore_backup

    try:
        restored = restore_backup(backup, gallery, replace=replace)
        record(gallery, "restore")
    except KeyboardInterrupt:
        _interrupted("the gallery is what it was before; the same command starts again")
    reports.print_restored(restored, gallery, as_json=as_json)


@app.command("drop-backup")
def drop_backup(
    gallery: Folder,
    backup_id: Annotated[str, typer.Argument(metavar="ID", help="The backup's id, from `vitreid gallery info`.")],
    gone: Annotated[bool, typer.Option("--gone", help="It was moved, and no copy of it is left anywhere.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a backup, so that receipts of erasures do not name it any more."""
    place = commands.forget_backup(gallery, backup_id, gone=gone)
    left = sorted(path.name for path in place.iterdir()) if place.is_dir() and not gone else []
    line = f"backup {backup_id} is gone" + (f"; {place} stays, it holds {left[0]!r} too" if left else "")
    reports.print_line({"backup": backup_id, "place": str(place), "remaining": left}, line, as_json=as_json)


@app.command()
def cameras(
    gallery: Folder,
    bundle: Annotated[Path | None, typer.Option(help="The model; the starter bundle when left out.")] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="CAMERA=LEARNED, repeated; replaces the whole mapping.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell which learned camera each camera of a gallery is, or say it; what is not mapped is unknown to the model."""
    reports.print_cameras(commands.cameras(gallery, bundle, mapping), as_json=as_json)
    if mapping:
        record(gallery, "camera-mapping")


@app.command("reembed")
def reembed_gallery(
    gallery: Folder,
    bundle: Annotated[Path, typer.Option(help="The new model.")],
    batch_size: Annotated[int, typer.Option(min=1, max=1024, help="Images embedded at a time.")] = 32,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="Cores to use; all when left out.")] = None,
    drop_without_image: Annotated[
        bool, typer.Option("--drop-without-image", help="Delete items whose image was not kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Embed a gallery with another model from its stored images; it answers with the old one until the end.

    A service that runs with the old model refuses its requests from then on: start it again with the new bundle.
    """
    from vitreid.service.cli.actions import open_embedder

    embedder = open_embedder(bundle, threads)
    try:
        with reports.progress("embedding") as tell:
            done = commands.reembed_gallery(
                gallery, embedder, batch_size=batch_size, drop_without_image=drop_without_image, progress=tell
            )
    except KeyboardInterrupt:
        _interrupted("what was embedded is kept; run the same command again to resume")
    reports.print_reembedded(done, as_json=as_json)


@app.command("drop-generation")
def drop_generation(
    gallery: Folder,
    generation: Annotated[int, typer.Argument(help="Its number, from `vitreid gallery info`.")],
    as_json: AsJson = False,
) -> None:
    """Remove the embeddings of a model that does not answer any more."""
    commands.drop_embeddings(gallery, generation)
    reports.print_line({"generation": generation}, f"generation {generation} is gone", as_json=as_json)


@app.command()
def erase(
    gallery: Folder,
    item: Annotated[
        list[int] | None, typer.Option(parser=id_option, metavar="ID", help="An item's id; may be repeated.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="All items with this person_id.")] = None,
    reason: Annotated[str | None, typer.Option(help="For the receipt, which is kept: name nobody.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take items out for good and print a receipt, also while a service runs."""
    if not item and person is None:
        raise BadParameter("nothing to erase was named; give --item ID or --person LABEL")
    if reason is not None:
        check_reason(reason)
    with open_as_it_is(gallery) as opened:
        ids = commands.ids_to_erase(opened, item or [], person)
        question = f"Erase {len(ids):,} of the {len(opened):,} items in {gallery} for good?"
        if not yes and not _confirmed(question):
            print("vitreid: nothing was erased", file=sys.stderr)
            raise typer.Exit(1)
        receipt = commands.erase_items(opened, ids, reason)
    record(gallery, "erase", items=receipt.item_ids)
    reports.print_receipt(receipt, as_json=as_json)


@app.command("export")
def export_gallery(
    gallery: Folder,
    out: Annotated[Path, typer.Argument(help="The file to write: .jsonl or .csv.")],
    embeddings: Annotated[Path | None, typer.Option(help="An .npz to write: arrays `id` and `embedding`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write all items as JSON lines or CSV; each file appears whole or not at all."""
    from vitreid.service.gallery.maintenance.export import export_items

    try:
        with open_as_it_is(gallery) as opened, reports.progress("writing") as tell:
            exported = export_items(opened, out, embeddings=embeddings, progress=tell)
        record(gallery, "export")
    except KeyboardInterrupt:
        _interrupted(f"{out} was not written")
    reports.print_line(
        {"out": str(out), "items": exported.items}, f"wrote {exported.items:,} items to {out}", as_json=as_json
    )


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise BadParameter("nobody can confirm without a terminal; give --yes (nothing was erased)") from None


def _interrupted(what: str) -> NoReturn:
    print(f"vitreid: interrupted: {what}", file=sys.stderr)
    raise typer.Exit(INTERRUPTED)
