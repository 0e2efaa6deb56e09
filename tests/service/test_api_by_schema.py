"""Requests made up from the API's own description: whatever is sent, no answer is an internal error."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from service.access.rates import Buckets
from service.app import create_app
from service.config import ServiceConfig
from service.state import open_service


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)).save(out, kind)
    return out.getvalue()


PICTURES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
for media_type, kind in PICTURES.items():
    good = picture(kind)
    schemathesis.openapi.media_type(media_type, st.sampled_from([good, good[:-20], b"", b"no picture"]))


@pytest.fixture(params=["without keys", "with a key"])
def api(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_bundle: Path
) -> Iterator[tuple[schemathesis.BaseSchema, dict[str, str]]]:
    """The description of a running service with one item, and the headers that it wants."""
    config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime="fake")
    # Opened outside of the application: each client starts the application anew.
    with open_service(config) as opened:
        # As many attempts without a key as are made here would be too many otherwise.
        service = replace(opened, access=replace(opened.access, failures=Buckets(1e6, 10**6)))
        app = create_app(config, service)
        with TestClient(app) as client:
            client.post("/v1/items", files={"images": ("a.jpg", picture("JPEG"))})
        headers = {}
        if request.param == "with a key":
            headers = {"Authorization": f"Bearer {service.access.keys.create('everything', ['admin'])[1]}"}
        yield schemathesis.openapi.from_asgi("/openapi.json", app), headers


def test_answers_are_as_described(api: tuple[schemathesis.BaseSchema, dict[str, str]]) -> None:
    description, headers = api
    # A file of random bytes fits the description and is no picture: refusing it is right. Without any key nobody is
    # asked for one; with one, each operation is tried without it, too.
    excluded = [positive_data_acceptance] if headers else [positive_data_acceptance, ignored_auth]
    tried = 0
    for found in description.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=5 if headers else 15,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers(case: schemathesis.Case) -> None:
            case.call_and_validate(excluded_checks=excluded, headers=headers)

        answers()
        tried += 1
    assert tried == sum(map(len, description.raw_schema["paths"].values()))
