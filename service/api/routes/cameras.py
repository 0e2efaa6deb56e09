"""/v1/galleries/{name}/cameras: which learned camera each of a gallery's cameras is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from vitreid.service.access.principal import Principal
from vitreid.service.api.guard import needs
from vitreid.service.api.openapi.problems import problems
from vitreid.service.api.schemas.cameras import CameraEntry, CameraList, CameraMapping
from vitreid.service.api.state import Service, service_of
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
    request: Request, name: GalleryName, principal: Annotated[Principal, Depends(needs("read"))]
) -> CameraList:
    """Each camera with its items, the learned camera that it is mapped to, and what was not taken from it."""
    service = service_of(request)
    gallery = service.gallery(name)
    found = await service.work(lambda: _listed(service, gallery))
    seen = [camera for camera in found.cameras if principal.sees_camera(camera.camera_id)]
    return found.model_copy(update={"cameras": seen})


@router.put(
    "",
    summary="Map a gallery's cameras to learned ones",
    response_description="the cameras as they are mapped now",
    openapi_extra=CURL,
    responses=problems(400, 404, 413, 415, 422, 507),
    dependencies=[Depends(needs("admin", "camera-mapping", reach="everything"))],
)
async def put_cameras(request: Request, name: GalleryName, body: CameraMapping) -> CameraList:
    """Replaces the whole mapping. Names are never mapped by being equal: what is left out is unknown to the model.

    Images that are added or asked with from now on are embedded accordingly. Items that are there keep their
    embeddings and are counted as `stale` where those were made with another learned camera.
    """
    service = service_of(request)
    gallery = service.gallery(name)

    def change() -> CameraList:
        map_cameras(gallery, service.bundle.manifest, body.mapping)
        return _listed(service, gallery)

    return await service.work(change)


def _listed(service: Service, gallery: Gallery) -> CameraList:
    manifest = service.bundle.manifest
    return CameraList(
        gallery=gallery.name,
        cameras=[CameraEntry(**asdict(camera)) for camera in report_cameras(gallery, manifest)],
        learned=list(manifest.cameras),
    )
