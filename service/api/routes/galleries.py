"""/v1/galleries: list, make, set up and drop galleries, and map their cameras."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from vitreid.bundle import Manifest
from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import (
    BundleDep,
    ExplainerDep,
    GalleriesDep,
    MaintenanceDep,
    MetricsDep,
    ThreadsDep,
)
from vitreid.service.api.openapi.responses import links_of_gallery, problems
from vitreid.service.api.schemas.galleries import (
    CameraEntry,
    CameraList,
    CameraMapping,
    GalleryDropped,
    GalleryEntry,
    GalleryList,
)
from vitreid.service.gallery import Gallery, GallerySettings
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.intake.cameras import check_learned, map_cameras, report_cameras

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])

GalleryName = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="the gallery's name", examples=["night-shift"])
]
CURL: dict[str, Any] = {
    "x-curl": "curl -X PUT -H 'Content-Type: application/json' -d '{\"retention_days\": 30}' "
    "'{origin}/v1/galleries/night-shift'"
}


@router.get("", summary="List galleries", response_description="all of them", responses=problems())
async def list_galleries(
    principal: Annotated[Principal, Depends(require("read", gallery=False))],
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> GalleryList:
    """List the galleries of the key with their settings; one that could not be opened has the reason.

    A key that is limited to cameras gets neither sizes nor settings, which concern all cameras.
    """
    entries = await threads.run(lambda: _entries(galleries))
    if principal.cameras is not None:
        entries = [entry.model_copy(update={"size": None, "settings": None}) for entry in entries]
    return GalleryList(galleries=[entry for entry in entries if principal.sees_gallery(entry.name)])


@router.put(
    "/{name}",
    summary="Create or set up a gallery",
    response_description="the gallery existed and has these settings now",
    responses={
        200: {"links": links_of_gallery("$response.body#/name")},
        201: {
            "model": GalleryEntry,
            "description": "Created: the gallery is new",
            "links": links_of_gallery("$response.body#/name"),
        },
        **problems(400, 409, 413, 415, 422, 507),
    },
    openapi_extra=CURL,
    dependencies=[Depends(require("admin", "gallery-settings", unrestricted=True))],
)
async def put_gallery(
    name: GalleryName,
    settings: GallerySettings,
    response: Response,
    bundle: BundleDep,
    explainer: ExplainerDep,
    galleries: GalleriesDep,
    maintenance: MaintenanceDep,
    threads: ThreadsDep,
) -> GalleryEntry:
    """Create the gallery if it does not exist, and replace its settings: those left out get their defaults.

    Only the mapping of cameras does not change if it is left out: it has a route of its own.
    """

    def put() -> GalleryEntry:
        check_learned(bundle.manifest, settings.cameras)
        if settings.store_patches:
            explainer.check()
        gallery, created = galleries.create(name)
        unchanged = set() if "cameras" in settings.model_fields_set else {"cameras"}
        gallery.change_settings(**{name: value for name, value in settings if name not in unchanged})
        maintenance.wake()  # a shorter retention period counts from now
        response.status_code = 201 if created else 200
        return _entry(gallery)

    return await threads.run(put)


@router.delete(
    "/{name}",
    summary="Drop a gallery",
    response_description="the dropped gallery",
    responses=problems(404, 409, 422),
    dependencies=[Depends(require("admin", "gallery-drop", unrestricted=True))],
)
async def drop_gallery(
    name: GalleryName, galleries: GalleriesDep, metrics: MetricsDep, threads: ThreadsDep
) -> GalleryDropped:
    """No search finds its items any more, and its files are removed, except those in `remaining`.

    `default` cannot be dropped.

    Its backups stay: remove them yourself.
    """
    dropped = await threads.run(lambda: galleries.drop(name))
    metrics.forget(name)
    return GalleryDropped(name=name, dropped_at=datetime.now(UTC), **vars(dropped))


def _entries(galleries: Galleries) -> list[GalleryEntry]:
    open_ones = [_entry(gallery) for gallery in galleries.opened().values()]
    others = [
        # The messages name folders of this machine; what a type stands for does not.
        GalleryEntry(name=name, state="unusable", reason=(type(error).__doc__ or "").splitlines()[0])
        for name, error in galleries.failures().items()
    ]
    return sorted([*open_ones, *others], key=lambda entry: entry.name)


def _entry(gallery: Gallery) -> GalleryEntry:
    info = gallery.info()
    return GalleryEntry(name=gallery.name, state="open", size=info.items, index=info.index, settings=gallery.settings())


KnownGallery = Annotated[str, Path(max_length=128, description="the gallery's name", examples=["default"])]
MAPPING_CURL: dict[str, Any] = {
    "x-curl": 'curl -X PUT -H \'Content-Type: application/json\' -d \'{"mapping": {"gate": "c1"}}\' '
    "'{origin}/v1/galleries/default/cameras'"
}


@router.get(
    "/{name}/cameras",
    summary="List a gallery's cameras",
    response_description="all of them",
    responses=problems(404, 422),
)
async def list_cameras(
    name: KnownGallery,
    principal: Annotated[Principal, Depends(require("read"))],
    bundle: BundleDep,
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> CameraList:
    """List the cameras with their items, the learned camera of each, and the rejected images."""
    gallery = galleries.get(name)
    cameras = await threads.run(lambda: _list_cameras(gallery, bundle.manifest))
    visible = [camera for camera in cameras.cameras if principal.sees_camera(camera.camera_id)]
    return cameras.model_copy(update={"cameras": visible})


@router.put(
    "/{name}/cameras",
    summary="Map a gallery's cameras to learned ones",
    response_description="the cameras with the new mapping",
    openapi_extra=MAPPING_CURL,
    responses=problems(400, 404, 413, 415, 422, 507),
    dependencies=[Depends(require("admin", "camera-mapping", unrestricted=True))],
)
async def put_cameras(
    name: KnownGallery, body: CameraMapping, bundle: BundleDep, galleries: GalleriesDep, threads: ThreadsDep
) -> CameraList:
    """Replace the whole mapping. Equal names are not mapped by themselves: cameras left out are unknown to the model.

    New images and queries use the new mapping. The embeddings of existing items do not change; items that were
    embedded with another learned camera are counted as `stale`.
    """
    gallery = galleries.get(name)

    def change() -> CameraList:
        map_cameras(gallery, bundle.manifest, body.mapping)
        return _list_cameras(gallery, bundle.manifest)

    return await threads.run(change)


def _list_cameras(gallery: Gallery, manifest: Manifest) -> CameraList:
    return CameraList(
        gallery=gallery.name,
        cameras=[CameraEntry(**asdict(camera)) for camera in report_cameras(gallery, manifest)],
        learned=list(manifest.cameras),
    )
