"""`vitreid query`: images of persons in, candidates of a gallery out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreid.service.cli.options import BundleDir, GalleryDir, Threads
from vitreid.terminal import AsJson, emit, report_interrupt

if TYPE_CHECKING:
    from vitreid.service.api.params import SearchParams
    from vitreid.service.config import ServiceConfig
    from vitreid.service.search import SearchRequest, SearchResult

LISTS = frozenset({"cameras", "exclude_cameras"})
"""Conditions that may be repeated."""

Images = Annotated[list[Path], typer.Argument(help="Images; each is a query of its own.")]
K = Annotated[int, typer.Option("-k", min=1, max=10_000, help="Candidates per query: items, or groups.")]
Camera = Annotated[str | None, typer.Option(help="Camera of the images; from their names when left out.")]
Together = Annotated[bool, typer.Option("--together", help="All images show one person: one query.")]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="A condition as in the API: cameras=c1, since=..., min_height=64."),
]
OtherCameras = Annotated[bool, typer.Option("--exclude-same-camera", help="No items of the query's own camera.")]
MinScore = Annotated[
    float | None, typer.Option(min=-1, max=1, help="Minimum score of a candidate; the gallery's own when left out.")
]
MinProbability = Annotated[
    float | None, typer.Option(help="Minimum probability of a candidate; for a calibrated model.")
]
GroupBy = Annotated[str, typer.Option(help="One candidate per item, person, track or camera.")]
Expand = Annotated[int, typer.Option(help="Search again with the mean of the query and this many best items.")]
Rerank = Annotated[str, typer.Option(help="none, k-reciprocal or patches.")]
RerankTop = Annotated[int | None, typer.Option(help="Number of the best candidates that are re-ranked.")]
RerankK1 = Annotated[int | None, typer.Option(help="k-reciprocal: size of the neighbourhood; default 20.")]
RerankK2 = Annotated[int | None, typer.Option(help="k-reciprocal: neighbours that are averaged; default 6.")]
RerankLambda = Annotated[float | None, typer.Option(help="k-reciprocal: share of the original distance; default 0.3.")]


def query(
    images: Images,
    gallery: GalleryDir,
    bundle: BundleDir = None,
    k: K = 10,
    camera: Camera = None,
    together: Together = False,
    where: Where = None,
    exclude_same_camera: OtherCameras = False,
    min_score: MinScore = None,
    min_probability: MinProbability = None,
    group_by: GroupBy = "item",
    expand: Expand = 0,
    rerank: Rerank = "none",
    rerank_top: RerankTop = None,
    rerank_k1: RerankK1 = None,
    rerank_k2: RerankK2 = None,
    rerank_lambda: RerankLambda = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Find candidates in a gallery that look like the person in an image.

    Scores are cosine similarities, not identities: a human decides.
    """
    options = {
        "k": k,
        "min_score": min_score,
        "min_probability": min_probability,
        "group_by": group_by,
        "exclude_same_camera": exclude_same_camera,
        "expand": expand,
        "rerank": rerank,
        "rerank_top": rerank_top,
        "rerank_k1": rerank_k1,
        "rerank_k2": rerank_k2,
        "rerank_lambda": rerank_lambda,
    }
    with report_interrupt("nothing was changed"):
        from vitreid.service.cli.opening import record
        from vitreid.service.cli.query_table import lines, values
        from vitreid.service.config import load_config

        config = load_config(bundle=bundle, threads=threads)
        params = search_params(where or [], options)
        queries = [list(images)] if together else [[path] for path in images]
        answers = _search(config, queries, gallery, params.request(), camera)
        shown = [candidate.match.item.id for each in answers if each.result for candidate in each.result.candidates]
        record(config, gallery, "query", shown)
    errors = [answer.error for answer in answers if answer.error]
    for error in errors:
        print(f"vitreid: {error}", file=sys.stderr)
    emit(values(answers, params.group_by), lines(answers, params.group_by), as_json=as_json)
    raise typer.Exit(1 if errors else 0)


@dataclass(frozen=True)
class Answer:
    """The result of one query, or the reason why one of its images could not be read."""

    paths: list[Path]
    camera_ids: list[str | None]
    result: SearchResult | None = None
    error: str | None = None


def search_params(conditions: Sequence[str], options: Mapping[str, object]) -> SearchParams:
    """Parse `NAME=VALUE` conditions and other options. Raises BadParameter."""
    from pydantic import ValidationError

    from vitreid.service.api.params import FilterParams, SearchParams
    from vitreid.service.errors import BadParameter
    from vitreid.service.values.messages import first_mistake

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


def _search(
    config: ServiceConfig, queries: Iterable[list[Path]], gallery: Path, request: SearchRequest, camera: str | None
) -> list[Answer]:
    """Search a gallery with each query, images of one person.

    Raises ImageError if no query can be read, BadParameter, NotCalibrated, GalleryError.
    """
    from vitreid.bundle import ImageError, read_image
    from vitreid.service.cli.opening import image_limits, open_embedder, open_gallery
    from vitreid.service.intake.labels import label_of_name
    from vitreid.service.models.explainer import Explainer
    from vitreid.service.search import PatchReranker, query_of_images, search

    answers = [Answer(paths, [camera or label_of_name(path.name).camera_id for path in paths]) for paths in queries]
    for each in answers:
        request.filter_for(each.camera_ids)  # raises before a model is loaded
    embedder = open_embedder(config, gallery)
    explainer = Explainer(embedder.bundle, threads=config.threads)
    patches, calibration = PatchReranker(explainer, embedder.prepare), embedder.manifest.calibration
    failures, limits = list[ImageError](), image_limits(config)
    with open_gallery(config, gallery, embedder) as opened:
        mapping = opened.settings().cameras
        for at, each in enumerate(answers):
            try:
                pixels = [embedder.prepare(read_image(path, limits)) for path in each.paths]
            except ImageError as error:
                failures.append(error)
                answers[at] = replace(each, error=str(error))
                continue
            embedded = query_of_images(embedder, explainer, pixels, each.camera_ids, mapping)
            result = search(opened, embedded, request, calibration=calibration, patches=patches)
            answers[at] = replace(each, result=result)
    if len(failures) == len(answers):
        raise failures[0]
    return answers
