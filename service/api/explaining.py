"""Explanations over HTTP: two images in, uploaded or stored; their corresponding patches out, as a body or drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from PIL import Image

from vitreid.bundle import ImageLimits, Manifest, decoded
from vitreid.scoring.patches import Foreground, matched_patches
from vitreid.service.access.principal import Principal
from vitreid.service.api.params import ExplainParams
from vitreid.service.api.schemas.query import EXPLAIN_NOTE, ComparedImage, Explanation, PatchPair
from vitreid.service.api.uploads import Upload
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import Box
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer
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


@dataclass(frozen=True)
class ExplainHandler:
    """Compares two images patch by patch; its methods block."""

    manifest: Manifest
    embedder: Embedder
    explainer: Explainer
    limits: ImageLimits

    def explain(
        self, gallery: Gallery, uploads: Sequence[Upload], params: ExplainParams, principal: Principal
    ) -> Explained:
        """Compare two images: uploaded ones first, then stored items.

        Raises BadParameter unless they are two, ExplainUnsupported, ItemNotFound, ImagesMissing, ImageError,
        BundleError.
        """
        if len(uploads) + len(params.item_id) != TWO or len(params.camera_id) > len(uploads):
            raise BadParameter(
                f"the request has {len(uploads)} images, {len(params.camera_id)} camera_id and {len(params.item_id)} "
                "item_id; expected two images, two item_id, or one of each, and at most one camera_id per image"
            )
        self.explainer.check()
        first, second = [
            *(self._uploaded(gallery, upload, camera) for upload, camera in zip_longest(uploads, params.camera_id)),
            *(self._stored(gallery, item_id, principal) for item_id in params.item_id),
        ]
        return Explained((first.shown, second.shown), self._body(first, second))

    def _uploaded(self, gallery: Gallery, upload: Upload, camera_id: str | None) -> AnalyzedImage:
        model_camera = gallery.model_camera(camera_id)
        with decoded(upload.content, self.limits, name=upload.name) as image:
            shown, pixels, (width, height) = fitted(image), self.embedder.prepare(image), image.size
        del image
        [foreground] = self.explainer.foreground([pixels], [model_camera])
        known = self.manifest.camera_index(model_camera) >= 0
        return AnalyzedImage(shown, height, width, foreground, None, known)

    def _stored(self, gallery: Gallery, item_id: int, principal: Principal) -> AnalyzedImage:
        item = principal.check_item(gallery.get(item_id))
        image = stored_image(gallery, item_id)
        [foreground] = PatchReranker(self.explainer, self.embedder.prepare).foregrounds(gallery, [item_id])
        known = item.model_camera is not None
        return AnalyzedImage(fitted(image), image.height, image.width, foreground, item_id, known)

    def _body(self, first: AnalyzedImage, second: AnalyzedImage) -> Explanation:
        pairs, similarities = matched_patches(first.foreground.vectors, second.foreground.vectors)
        boxes = [self._boxes(each) for each in (first, second)]
        patches = self.explainer.patch_spec.patches
        return Explanation(
            query=_compared(first, patches),
            match=_compared(second, patches),
            pairs=[
                PatchPair(query_box=boxes[0][i], match_box=boxes[1][j], similarity=similarity)
                for (i, j), similarity in zip(pairs.tolist(), similarities.tolist(), strict=True)
            ],
            similarity=float(similarities.mean()),
            bundle_id=self.manifest.bundle_id,
        )

    def _boxes(self, image: AnalyzedImage) -> list[Box]:
        """Return the boxes of an image's foreground patches."""
        spec = self.manifest.image
        boxes = self.explainer.patch_spec.boxes(image.height, image.width, (spec.height, spec.width))
        edges = boxes[image.foreground.patch_indices].round(2).tolist()
        return [(left, top, right, bottom) for left, top, right, bottom in edges]


def _compared(image: AnalyzedImage, patches: int) -> ComparedImage:
    return ComparedImage(
        item_id=image.item_id,
        height=image.height,
        width=image.width,
        camera_known=image.camera_known,
        foreground=len(image.foreground.patch_indices),
        patches=patches,
    )


def _shares(box: Box, image: ComparedImage) -> Box:
    """Return a box in shares of an image's sides."""
    left, top, right, bottom = box
    return left / image.width, top / image.height, right / image.width, bottom / image.height
