"""/v1/explain: the patches of two images that the model compares."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from vitreid.service.access.principal import Principal
from vitreid.service.api.authorization import require
from vitreid.service.api.dependencies import ExplanationsDep, GalleriesDep, ThreadsDep
from vitreid.service.api.middleware.audit import note_items
from vitreid.service.api.openapi.responses import problems
from vitreid.service.api.params import ExplainParams
from vitreid.service.api.routes.query import BODY, SEND
from vitreid.service.api.schemas.query import Explanation
from vitreid.service.api.uploads import read_compared

router = APIRouter(prefix="/v1", tags=["query"])

PNG = "image/png"


@router.post(
    "/explain",
    summary="Show which parts of two images the model compares",
    response_model=Explanation,
    response_description="the patches that correspond, the most similar first",
    openapi_extra={
        "requestBody": BODY | {"required": False},
        "x-curl": f"{SEND} '{{origin}}/v1/explain?item_id=17'\n"
        "curl -X POST -H 'Accept: image/png' -o why.png '{origin}/v1/explain?item_id=3&item_id=17'",
    },
    responses={
        200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}},
        **problems(400, 404, 409, 413, 415, 422),
    },
)
async def explain_match(
    request: Request,
    params: Annotated[ExplainParams, Query()],
    principal: Annotated[Principal, Depends(require("read", "explain"))],
    galleries: GalleriesDep,
    explanations: ExplanationsDep,
    threads: ThreadsDep,
) -> Response:
    """Compare the foreground patches of an uploaded image and a stored item, of two images, or of two items.

    The foreground is the fewest patches that hold 80 % of the attention; two correspond if each is the other's most
    similar. With `format=png`, or if the request accepts image/png, the images come side by side, the
    most similar pairs in boxes joined by lines. It shows what the model compared and proves no identity.
    """
    gallery = galleries.get(params.gallery)
    uploads = await read_compared(request)
    note_items(request, params.item_id)
    wants_png = params.format == "png" or (params.format is None and PNG in request.headers.get("accept", ""))

    def answer() -> Response:
        explained = explanations.explain(gallery, uploads, params, principal)
        # Images of people stay out of shared and disk caches: a deleted item must be gone.
        headers = {"cache-control": "private, no-store"}
        if wants_png:
            return Response(explained.png(), media_type=PNG, headers=headers)
        return JSONResponse(explained.body.model_dump(mode="json"), headers=headers)

    return await threads.run(answer)
