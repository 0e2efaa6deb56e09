"""Explanations over HTTP: two images in, uploaded or stored; their corresponding patches out, as a body or drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from PIL import Image

from vitreid.bundle import decoded
from vitreid.scoring.patches import Foreground, matched_patches
from vitreid.service.access.principal import Principal
from vitreid.service.api.query_params import ExplainParams
from vitreid.service.api.schemas.explain import EXPLAIN_NOTE, ComparedImage, Explanation, PatchPair
from vitreid.service.api.state import Service
from vitreid.service.api.uploads import Upload
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import Box
from vitreid.service.search.drawing import draw_pairs, fitted
from vitreid.service.search.patches import PatchReranker, stored_image

TWO = 2
CAPTION = textwrap.wrap(EXPLAIN_NOTE, 60)


@dataclass(frozen=True, eq=False)
class AnalyzedImage:
    """An image with its foreground patches."""

    shown: Image.Image
    """Small enough to be drawn: the image itself may be large."""
    height: int
    width: int
    foreground: Foreground
    item_id: int | None
    camera_known: bool


@dataclass(frozen=True, eq=False)
class Explained:
    """Two images and their corresponding patches."""

    images: tuple[Image.Image, Image.Image]
    body: Explanation

    def png(self) -> bytes:
        """Draw the images side by side, the most similar patches joined by lines, with the note below."""
        query, match = self.body.query, self.body.match
        pairs = [(_shares(pair.query_box, query), _shares(pair.match_box, match)) for pair in self.body.pairs]
        return draw_pairs(self.images, pairs, CAPTION)


def explain(service: Service, uploads: Sequence[Upload], params: ExplainParams, principal: Principal) -> Explained:
    """Compare two images patch by patch: uploaded ones first, then stored items.

    Blocks: run it in a thread. Raises BadParameter where they are not two, ExplainUnsupported, ItemNotFound,
    ImagesMissing, ImageError, BundleError.
    """
    if len(uploads) + len(params.item_id) != TWO or len(params.camera_id) > len(uploads):
        raise BadParameter(
            f"the request has {len(uploads)} images, {len(params.camera_id)} camera_id and {len(params.item_id)} "
            "item_id; expected two images, two item_id, or one of each, and at most one camera_id per image"
        )
    service.explainer.check()
    gallery = service.gallery(params.gallery)
    sent = zip_longest(uploads, params.camera_id)
    first, second = [
        *(_sent(service, gallery, upload, camera) for upload, camera in sent),
        *(_stored(service, gallery, item_id, principal) for item_id in params.item_id),
    ]
    return Explained((first.shown, second.shown), _body(service, first, second))


def _sent(service: Service, gallery: Gallery, upload: Upload, camera_id: str | None) -> AnalyzedImage:
    model_camera = gallery.model_camera(camera_id)
    with decoded(upload.content, service.limits, name=upload.name) as image:
        shown, pixels, (width, height) = fitted(image), service.embedder.prepare(image), image.size
    del image
    [foreground] = service.explainer.foreground([pixels], [model_camera])
    known = service.bundle.manifest.camera_index(model_camera) >= 0
    return AnalyzedImage(shown, height, width, foreground, None, known)


def _stored(service: Service, gallery: Gallery, item_id: int, principal: Principal) -> AnalyzedImage:
    item = principal.check_item(gallery.get(item_id))
    image = stored_image(gallery, item_id)
    [foreground] = PatchReranker(service.explainer, service.embedder.prepare).foregrounds(gallery, [item_id])
    return AnalyzedImage(fitted(image), image.height, image.width, foreground, item_id, item.model_camera is not None)


def _body(service: Service, first: AnalyzedImage, second: AnalyzedImage) -> Explanation:
    pairs, similarities = matched_patches(first.foreground.vectors, second.foreground.vectors)
    boxes = [_boxes(service, each) for each in (first, second)]
    return Explanation(
        query=_described(service, first),
        match=_described(service, second),
        pairs=[
            PatchPair(query_box=boxes[0][i], match_box=boxes[1][j], similarity=similarity)
            for (i, j), similarity in zip(pairs.tolist(), similarities.tolist(), strict=True)
        ],
        similarity=float(similarities.mean()),
        bundle_id=service.bundle.manifest.bundle_id,
    )


def _boxes(service: Service, seen: AnalyzedImage) -> list[Box]:
    """Return the boxes of the foreground patches in an image."""
    spec = service.bundle.manifest.image
    boxes = service.explainer.patch_spec.boxes(seen.height, seen.width, (spec.height, spec.width))
    return [(left, top, right, bottom) for left, top, right, bottom in boxes[seen.foreground.places].round(2).tolist()]


def _described(service: Service, seen: AnalyzedImage) -> ComparedImage:
    return ComparedImage(
        item_id=seen.item_id,
        height=seen.height,
        width=seen.width,
        camera_known=seen.camera_known,
        foreground=len(seen.foreground.places),
        patches=service.explainer.patch_spec.patches,
    )


def _shares(box: Box, image: ComparedImage) -> Box:
    """Return a box in shares of an image's sides."""
    left, top, right, bottom = box
    return left / image.width, top / image.height, right / image.width, bottom / image.height
