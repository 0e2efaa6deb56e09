"""/v1/galleries/{name}/cameras: which learned camera each of a gallery's cameras is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from vitreid.bundle import Manifest
from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import BundleDep, GalleriesDep, ThreadsDep
from vitreid.service.api.openapi.problems import problems
from vitreid.service.api.schemas.cameras import CameraEntry, CameraList, CameraMapping
from vitreid.service.gallery import Gallery
from vitreid.service.intake.cameras import map_cameras, report_cameras

router = APIRouter(prefix="/v1/galleries/{name}/cameras", tags=["galleries"])

GalleryName = Annotated[str, Path(max_length=128, description="the gallery's name", examples=["default"])]
CURL: dict[str, Any] = {
    "x-curl": 'curl -X PUT -H \'Content-Type: application/json\' -d \'{"mapping": {"gate": "c1"}}\' '
    "'{origin}/v1/galleries/default/cameras'"
}


@router.get("", summary="List a gallery's cameras", response_description="all of them", responses=problems(404, 422))
async def list_cameras(
    name: GalleryName,
    principal: Annotated[Principal, Depends(require("read"))],
    bundle: BundleDep,
    galleries: GalleriesDep,
    threads: ThreadsDep,
) -> CameraList:
    """Each camera with its items, the learned camera that it is mapped to, and what was not taken from it."""
    gallery = galleries.get(name)
    cameras = await threads.run(lambda: _list(gallery, bundle.manifest))
    visible = [camera for camera in cameras.cameras if principal.sees_camera(camera.camera_id)]
    return cameras.model_copy(update={"cameras": visible})


@router.put(
    "",
    summary="Map a gallery's cameras to learned ones",
    response_description="the cameras as they are mapped now",
    openapi_extra=CURL,
    responses=problems(400, 404, 413, 415, 422, 507),
    dependencies=[Depends(require("admin", "camera-mapping", unrestricted=True))],
)
async def put_cameras(
    name: GalleryName, body: CameraMapping, bundle: BundleDep, galleries: GalleriesDep, threads: ThreadsDep
) -> CameraList:
    """Replaces the whole mapping. Names are never mapped by being equal: what is left out is unknown to the model.

    Images that are added or asked with from now on are embedded accordingly. Items that are there keep their
    embeddings and are counted as `stale` where those were made with another learned camera.
    """
    gallery = galleries.get(name)

    def change() -> CameraList:
        map_cameras(gallery, bundle.manifest, body.mapping)
        return _list(gallery, bundle.manifest)

    return await threads.run(change)


def _list(gallery: Gallery, manifest: Manifest) -> CameraList:
    return CameraList(
        gallery=gallery.name,
        cameras=[CameraEntry(**asdict(camera)) for camera in report_cameras(gallery, manifest)],
        learned=list(manifest.cameras),
    )
