"""Requests made up from the API's own description: one by one, and following the links of its answers.

Whatever is sent, no answer is an internal error, and each is as described.
"""

from __future__ import annotations

import io
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from schemathesis.transport.serialization import Binary

from vitreid.service.access.rates import Buckets
from vitreid.service.api.app import create_app
from vitreid.service.api.openapi.responses import GALLERY
from vitreid.service.api.params import FilterParams
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig
from vitreid.service.values.fields import Named

UNHURRIED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def make_image(kind: str, seed: int = 0) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


IMAGES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
for media_type, kind in IMAGES.items():
    good = make_image(kind)
    schemathesis.openapi.media_type(media_type, st.sampled_from([good, good[:-20], b"", b"no image"]))
uploads = [b"", b"no image", *(make_image("JPEG", seed) for seed in range(6))]
schemathesis.openapi.format("binary", st.sampled_from([Binary(data=content) for content in uploads]))


SEVERAL = {name for name, field in FilterParams.model_fields.items() if field.annotation == list[Named]}
"""Parameters that may stand several times in an address."""


@dataclass
class Api:
    """A described service, the headers that it wants, and what is not checked."""

    app: FastAPI
    data: Path
    bundle: Path
    headers: dict[str, str]
    number: int = 0

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Answer from a copy of the data: what is made up must not depend on what was asked before."""
        self.number += 1
        config = ServiceConfig(data=self.data.with_name(f"{self.number}"), bundle=self.bundle, runtime="fake")
        shutil.copytree(self.data, config.data)
        with open_service(config, self.app.state.metrics) as opened:
            # As many attempts without a key as are made here would be too many otherwise.
            access = replace(opened.access, failures=Buckets(1e6, 10**6))
            self.app.state.service = replace(opened, access=access)
            yield

    def try_out(self, operation: Any, mode: GenerationMode, examples: int) -> None:
        """Ask for one operation, with requests that fit the description or do not."""

        @settings(UNHURRIED, max_examples=examples)
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case: schemathesis.Case) -> None:
            assume(not isinstance(case.body, dict) or [] not in case.body.values())  # a form sends nothing for them
            # A parameter that stands several times in an address counts by its last value.
            single = {name: value for name, value in (case.query or {}).items() if name not in SEVERAL}
            assume(not any(isinstance(value, list) for value in single.values()))
            self.check(case, case.call(headers=self.headers))

        answers()

    def check(self, case: schemathesis.Case, response: Any) -> None:
        """Fail where an answer is not as described."""
        # A file of random bytes fits the description and is no image: refusing it is right. Without any key nobody
        # is asked for one; with one, each operation is tried without it, too.
        excluded = [positive_data_acceptance, *([] if self.headers else [ignored_auth])]
        case.validate_response(response, excluded_checks=excluded, headers=self.headers)


@pytest.fixture(params=[False, True], ids=["without keys", "with a key"])
def api(request: pytest.FixtureRequest, tmp_path: Path, tiny_bundle: Path) -> Api:
    """With one item."""
    headers = {}
    config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake")
    with open_service(config) as service, TestClient(create_app(config, service)) as client:
        client.post("/v1/items", files={"images": ("a.jpg", make_image("JPEG"))})
        if request.param:
            headers = {"Authorization": f"Bearer {service.access.keys.create('everything', ['admin'])[1]}"}
    return Api(create_app(config, open_parts=False), config.data, tiny_bundle, headers)


@pytest.mark.slow
def test_answers_are_as_described(api: Api) -> None:
    description = schemathesis.openapi.from_asgi("/openapi.json", api.app)
    tried = [operation.ok() for operation in description.get_all_operations()]
    with api.opened():
        for operation in tried:
            api.try_out(operation, GenerationMode.POSITIVE, 5 if api.headers else 15)
    assert len(tried) == sum(map(len, description.raw_schema["paths"].values()))


@pytest.mark.slow
def test_what_does_not_fit_the_description_is_refused(api: Api) -> None:
    description = schemathesis.openapi.from_asgi("/openapi.json", api.app)
    operations = [found.ok() for found in description.get_all_operations()]
    tried = [operation for operation in operations if operation.body or any(operation.iter_parameters())]
    with api.opened():
        for operation in tried:
            api.try_out(operation, GenerationMode.NEGATIVE, 5 if api.headers else 10)
    assert len(tried) > len(operations) / 2


@pytest.mark.slow
def test_answers_along_links_are_as_described(api: Api) -> None:
    description = (
        schemathesis.openapi.from_asgi("/openapi.json", api.app)
        .include(path_regex="items|query|erasures")
        .exclude(name="GET /v1/erasures")
    )
    seen: Counter[tuple[str, int]] = Counter()

    base: Any = description.as_state_machine()

    class Machine(base):
        def setup(self) -> None:
            self.open = api.opened()
            self.open.__enter__()

        def teardown(self) -> None:
            self.open.__exit__(None, None, None)

        def before_call(self, case: schemathesis.Case) -> None:
            if case.meta.generation.mode.is_negative:
                return
            # Galleries with names made up are not there: most requests are about the one that is.
            chance = zlib.crc32(repr((case.query, case.body)).encode())
            if case.query and chance % 8:
                case.query.pop("gallery", None)
            if isinstance(case.body, dict) and chance % 3:
                case.body.pop("metadata", None)  # nor is a text made up the JSON that it must be

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": api.headers}

        def validate_response(self, response: Any, case: schemathesis.Case, **options: Any) -> None:
            seen[case.operation.label, response.status_code] += 1
            api.check(case, response)

    Machine.run(settings=settings(UNHURRIED, max_examples=40, stateful_step_count=12))
    assert sum(seen.values()) > 40


OF_ITEM = {
    "GET /v1/items/{item_id}": 200,
    "GET /v1/items/{item_id}/image": 200,
    "PATCH /v1/items/{item_id}": 200,
    "POST /v1/query/{item_id}": 200,
}
REACHED = {
    "erasure": OF_ITEM | {"POST /v1/erasures": 202},
    "deletion": OF_ITEM | {"DELETE /v1/items/{item_id}": 204},
}
"""Statuses along the links of an added item, by the link that is followed last."""

BODIES: dict[str, Any] = {"PATCH /v1/items/{item_id}": {"person_id": "p1"}}
"""Bodies that a link leaves to the client."""


def follow(client: TestClient, answer: httpx2.Response, links: dict[str, Any]) -> dict[str, httpx2.Response]:
    """Follow every link of an answer; return the answers by operation, deletions last."""

    def value(expression: Any) -> Any:
        if isinstance(expression, dict):
            return {name: value(each) for name, each in expression.items()}
        if isinstance(expression, list):
            return [value(each) for each in expression]
        if expression == GALLERY:
            return answer.request.url.params.get("gallery", "default")
        found = answer.json()
        for step in expression.removeprefix("$response.body#/").split("/"):
            found = found[int(step) if step.isdecimal() else step]
        return found

    answers = {}
    for link in sorted(
        links.values(), key=lambda link: "eras" in link["operationRef"] or "delete" in link["operationRef"]
    ):
        *_, path, method = (part.replace("~1", "/") for part in link["operationRef"].split("/"))
        label = f"{method.upper()} {path}"
        parameters = {name: value(expression) for name, expression in link["parameters"].items()}
        query = {name: each for name, each in parameters.items() if f"{{{name}}}" not in path}
        body = value(link["requestBody"]) if "requestBody" in link else BODIES.get(label)
        answers[label] = client.request(method, path.format(**parameters), params=query, json=body)
    return answers


@pytest.mark.parametrize("last", ["erasure", "deletion"])
def test_each_link_of_an_answer_leads_on(tmp_path: Path, tiny_bundle: Path, last: str) -> None:
    config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake")
    with open_service(config) as service, TestClient(create_app(config, service)) as client:
        paths = client.get("/openapi.json").json()["paths"]
        links = paths["/v1/items"]["post"]["responses"]["200"]["links"]
        links = {name: link for name, link in links.items() if name == last or name not in {"erasure", "deletion"}}
        added = client.post("/v1/items", files={"images": ("a.jpg", make_image("JPEG"))})
        answers = follow(client, added, links)
        assert {label: answer.status_code for label, answer in answers.items()} == REACHED[last]
        if last == "erasure":
            links = paths["/v1/erasures"]["post"]["responses"]["202"]["links"]
            [receipt] = follow(client, answers["POST /v1/erasures"], links).values()
            assert (receipt.status_code, receipt.json()["item_ids"]) == (200, [1])
