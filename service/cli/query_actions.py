"""What `vitreid query` does, without how it is asked and how it prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from vitreid.bundle import ImageError, read_image
from vitreid.service.api.filter_params import FilterParams
from vitreid.service.api.query_params import SearchParams
from vitreid.service.cli.actions import open_embedder, open_gallery
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.intake.labels import label_of_name
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer
from vitreid.service.search import Found, PatchReranker, find, mean_embedding
from vitreid.service.search.probability import ScoreCalibration, calibration_within, with_known_cameras
from vitreid.service.values.messages import first_mistake

LISTS = frozenset({"cameras", "exclude_cameras"})


@dataclass(frozen=True)
class Answer:
    """What was found for one query, or why one of its images could not be read."""

    paths: list[Path]
    camera_ids: list[str | None]
    meaning: ScoreCalibration
    found: Found | None = None
    error: str | None = None


def search_params(conditions: Sequence[str], options: Mapping[str, object]) -> SearchParams:
    """The parameters of a search from `NAME=VALUE` conditions and other options. Raises BadParameter."""
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
    params: SearchParams,
    *,
    bundle: Path | None,
    camera: str | None = None,
    together: bool = False,
    threads: int | None = None,
) -> list[Answer]:
    """Search a gallery with each image on its own, or with all `together` as images of one person.

    Raises ImageError where not one query can be read, BadParameter, GalleryError.
    """
    queries = [list(images)] if together else [[path] for path in images]
    cameras = {path: camera or label_of_name(path.name).camera_id for path in images}
    for query in queries:
        params.question({cameras[path] for path in query})  # told before a model is loaded
    embedder = open_embedder(bundle, threads, gallery=gallery)
    explainer = Explainer(embedder.bundle, threads=threads)
    answers: list[Answer] = []
    failures: list[ImageError] = []
    with open_gallery(gallery, embedder, create=False) as opened:
        for query in queries:
            single = len(query) == 1 and not params.expand
            calibration = calibration_within(embedder.manifest.calibration, opened.settings().domain)
            meaning = ScoreCalibration(calibration, camera_id=cameras[query[0]], single=single)
            answer = Answer(query, [cameras[path] for path in query], meaning)
            try:
                answers.append(replace(answer, found=_found(opened, embedder, explainer, answer, params)))
            except ImageError as error:
                failures.append(error)
                answers.append(replace(answer, error=str(error)))
    if len(failures) == len(answers):
        raise failures[0]
    return answers


def _found(gallery: Gallery, embedder: Embedder, explainer: Explainer, asked: Answer, params: SearchParams) -> Found:
    settings = gallery.settings()
    question = params.question(set(asked.camera_ids))
    least = settings.min_score if question.min_score is None else question.min_score
    least = asked.meaning.min_score(least, params.min_probability)
    where = question.where if params.min_probability is None else with_known_cameras(question.where, gallery)
    question = replace(question, where=where, min_score=least)
    learned = [settings.cameras.get(camera_id or "") for camera_id in asked.camera_ids]
    pixels = [embedder.prepare(read_image(path)) for path in asked.paths]
    embedding = mean_embedding(embedder.run(pixels, learned))
    looking = PatchReranker(explainer, embedder.prepare, lambda: explainer.look(pixels, learned))
    return find(gallery, embedding, question, looking=looking)
