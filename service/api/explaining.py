"""One explanation: two images in, sent or stored; which of their patches correspond out, as a body or drawn."""

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
from vitreid.service.search.patches import foregrounds, stored_image

TWO = 2
CAPTION = textwrap.wrap(EXPLAIN_NOTE, 60)


@dataclass(frozen=True, eq=False)
class Seen:
    """An image, and what the model looked at in it."""

    shown: Image.Image
    """Small enough to be drawn: the image itself may be large."""
    height: int
    width: int
    foreground: Foreground
    item_id: int | None
    camera_known: bool


@dataclass(frozen=True, eq=False)
class Explained:
    """Two images and how they correspond."""

    images: tuple[Image.Image, Image.Image]
    body: Explanation

    def png(self) -> bytes:
        """The images side by side, with the most alike patches joined by lines, and what it means below."""
        query, match = self.body.query, self.body.match
        pairs = [(_shares(pair.query_box, query), _shares(pair.match_box, match)) for pair in self.body.pairs]
        return draw_pairs(self.images, pairs, CAPTION)


def explain(service: Service, uploads: Sequence[Upload], params: ExplainParams, principal: Principal) -> Explained:
    """Compare two images patch by patch: those that were sent come first, then stored items.

    Blocks, so it is for threads. Raises BadParameter where they are not two, ExplainUnsupported, ItemNotFound,
    ImagesMissing, ImageError, BundleError.
    """
    if len(uploads) + len(params.item_id) != TWO or len(params.camera_id) > len(uploads):
        raise BadParameter(
            f"{len(uploads)} images were sent, with {len(params.camera_id)} camera_id, and {len(params.item_id)} "
            "item_id named: send an image and name an item, or two of one of these; a camera_id is that of an image "
            "that is sent"
        )
    service.explainer.check()
    gallery = service.gallery(params.gallery)
    sent = zip_longest(uploads, params.camera_id)
    first, second = [
        *(_sent(service, gallery, upload, camera) for upload, camera in sent),
        *(_stored(service, gallery, item_id, principal) for item_id in params.item_id),
    ]
    return Explained((first.shown, second.shown), _body(service, first, second))


def _sent(service: Service, gallery: Gallery, upload: Upload, camera_id: str | None) -> Seen:
    learned = gallery.model_camera(camera_id)
    with decoded(upload.content, service.limits, name=upload.name) as image:
        shown, pixels, (width, height) = fitted(image), service.embedder.prepare(image), image.size
    del image
    [foreground] = service.explainer.look([pixels], [learned])
    known = service.bundle.manifest.camera_index(learned) >= 0
    return Seen(shown, height, width, foreground, None, known)


def _stored(service: Service, gallery: Gallery, item_id: int, principal: Principal) -> Seen:
    item = principal.check_item(gallery.get(item_id))
    image = stored_image(gallery, item_id)
    [foreground] = foregrounds(gallery, [item_id], service.explainer, service.embedder.prepare)
    return Seen(fitted(image), image.height, image.width, foreground, item_id, item.model_camera is not None)


def _body(service: Service, first: Seen, second: Seen) -> Explanation:
    pairs, similarities = matched_patches(first.foreground.vectors, second.foreground.vectors)
    boxes = [_boxes(service, each) for each in (first, second)]
    return Explanation(
        query=_told(service, first),
        match=_told(service, second),
        pairs=[
            PatchPair(query_box=boxes[0][i], match_box=boxes[1][j], similarity=similarity)
            for (i, j), similarity in zip(pairs.tolist(), similarities.tolist(), strict=True)
        ],
        similarity=float(similarities.mean()),
        bundle_id=service.bundle.manifest.bundle_id,
    )


def _boxes(service: Service, seen: Seen) -> list[Box]:
    """Where the foreground patches lie in an image."""
    taken = service.bundle.manifest.image
    boxes = service.explainer.patch_spec.boxes(seen.height, seen.width, (taken.height, taken.width))
    return [(left, top, right, bottom) for left, top, right, bottom in boxes[seen.foreground.places].round(2).tolist()]


def _told(service: Service, seen: Seen) -> ComparedImage:
    return ComparedImage(
        item_id=seen.item_id,
        height=seen.height,
        width=seen.width,
        camera_known=seen.camera_known,
        foreground=len(seen.foreground.places),
        patches=service.explainer.patch_spec.patches,
    )


def _shares(box: Box, image: ComparedImage) -> Box:
    """A box in shares of an image's sides."""
    left, top, right, bottom = box
    return left / image.width, top / image.height, right / image.width, bottom / image.height
