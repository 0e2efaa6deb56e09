"""Queries from the command line: opens model and gallery once, and searches with each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from vitreid.bundle import ImageError, read_image
from vitreid.service.api.filter_params import FilterParams
from vitreid.service.api.query_params import SearchParams
from vitreid.service.cli.actions import open_embedder, open_gallery
from vitreid.service.errors import BadParameter
from vitreid.service.intake.labels import label_of_name
from vitreid.service.models.explainer import Explainer
from vitreid.service.search import PatchReranker, SearchRequest, SearchResult, query_of_images, search
from vitreid.service.values.messages import first_mistake

LISTS = frozenset({"cameras", "exclude_cameras"})


@dataclass(frozen=True)
class Answer:
    """The result of one query, or the reason why one of its images could not be read."""

    paths: list[Path]
    camera_ids: list[str | None]
    result: SearchResult | None = None
    error: str | None = None


def search_params(conditions: Sequence[str], options: Mapping[str, object]) -> SearchParams:
    """Parse `NAME=VALUE` conditions and other options. Raises BadParameter."""
    values: dict[str, object] = {}
    for condition in conditions:
        name, separator, value = condition.partition("=")
        if not separator or name not in FilterParams.model_fields:
            raise BadParameter(
                f"--where {condition}: write NAME=VALUE, NAME one of {', '.join(FilterParams.model_fields)}"
            )
        if name in LISTS:
            values[name] = [*values.get(name, []), value]  # type: ignore[misc]  # a list of its own making
        elif name in values:
            raise BadParameter(f"--where {condition}: {name} is given twice; only {', '.join(sorted(LISTS))} repeat")
        else:
            values[name] = value
    try:
        return SearchParams.model_validate({**values, **options})
    except ValidationError as error:
        raise BadParameter(first_mistake(error)) from error


def query_images(
    images: Sequence[Path],
    gallery: Path,
    request: SearchRequest,
    *,
    bundle: Path | None,
    camera: str | None = None,
    together: bool = False,
    threads: int | None = None,
) -> list[Answer]:
    """Search a gallery with each image on its own, or with all `together` as images of one person.

    Raises ImageError if no query can be read, BadParameter, NotCalibrated, GalleryError.
    """
    queries = [list(images)] if together else [[path] for path in images]
    cameras = {path: camera or label_of_name(path.name).camera_id for path in images}
    for paths in queries:
        request.filter_for([cameras[path] for path in paths])  # raises before a model is loaded
    embedder = open_embedder(bundle, threads, gallery=gallery)
    explainer = Explainer(embedder.bundle, threads=threads)
    patches = PatchReranker(explainer, embedder.prepare)
    answers: list[Answer] = []
    failures: list[ImageError] = []
    with open_gallery(gallery, embedder, create=False) as opened:
        mapping = opened.settings().cameras
        for paths in queries:
            camera_ids = [cameras[path] for path in paths]
            try:
                pixels = [embedder.prepare(read_image(path)) for path in paths]
            except ImageError as error:
                failures.append(error)
                answers.append(Answer(paths, camera_ids, error=str(error)))
                continue
            query = query_of_images(embedder, explainer, pixels, camera_ids, mapping)
            calibration = embedder.manifest.calibration
            result = search(opened, query, request, calibration=calibration, patches=patches)
            answers.append(Answer(paths, camera_ids, result))
    if len(failures) == len(answers):
        raise failures[0]
    return answers
