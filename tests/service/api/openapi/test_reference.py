"""docs/api.md is what the application says about itself, in Markdown that holds together."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.paths import REPOSITORY
from vitreid.service.api.app import create_app
from vitreid.service.api.openapi.description import UNLIMITED
from vitreid.service.api.openapi.reference import api_markdown, describe
from vitreid.service.api.params import FilterParams
from vitreid.service.config import ServiceConfig

PAGE = REPOSITORY / "docs" / "api.md"
PROBLEM = {
    "description": "Not Found: no such thing",
    "headers": {"Retry-After": {}},
    "content": {"application/problem+json": {"example": {"type": "/problems/gone", "detail": "no item | 17"}}},
}
ROUTE: dict[str, Any] = {
    "tags": ["items"],
    "summary": "Change an item",
    "description": "First\nparagraph.\n\nSecond one.",
    "security": [{"bearer": ["write"]}, {"header": ["write"]}],
    "x-curl": "curl '{origin}/v1/items/17'",
    "parameters": [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
        {"name": "since", "in": "query", "schema": {"type": "string"}, "description": "from | then on"},
        {"name": "k", "in": "query", "schema": {"type": "integer", "default": 10, "examples": [5]}},
    ],
    "requestBody": {
        "description": "The item.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Item"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "metadata": {"type": "string", "description": "JSON", "example": "{}"},
                    },
                }
            },
        },
    },
    "responses": {
        "200": {
            "description": "the item",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
        },
        "404": PROBLEM,
    },
}
DESCRIPTION: dict[str, Any] = {
    "info": {"description": "What it is."},
    "tags": [{"name": "items", "description": "Images."}],
    "paths": {
        "/v1/items/{id}": {"put": ROUTE},
        "/v1/items": {"get": {"tags": ["items"], "summary": "List", "responses": {"204": {"description": "none"}}}},
    },
    "components": {
        "schemas": {
            "Item": {
                "description": "One item.",
                "required": ["id"],
                "properties": {
                    "id": {"type": "integer", "examples": [17], "description": "its number"},
                    "box": {"type": "array", "prefixItems": [{"type": "integer"}] * 4},
                },
            },
            "Anything": {},
        }
    },
}


@pytest.fixture(scope="module")
def page() -> str:
    return api_markdown(DESCRIPTION, ["since"])


def test_the_page_in_the_repository_is_the_present_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == describe(), "docs/api.md is not what the code says: run `make docs`"


def test_each_route_is_in_the_overview_with_its_key(page: str) -> None:
    assert "| [PUT /v1/items/{id}](#put-v1itemsid) | `write` | Change an item |" in page
    assert "| [GET /v1/items](#get-v1items) | none | List |" in page


def test_a_route_with_its_words_key_and_curl(page: str) -> None:
    section = page.partition("### PUT /v1/items/{id}")[2].partition("\n### ")[0]
    assert "**Change an item.** First paragraph.\n\nSecond one." in section
    assert "Key: `write`." in section
    assert "curl 'http://127.0.0.1:8000/v1/items/17'" in section


def test_parameters_with_limits_defaults_and_examples(page: str) -> None:
    assert "| `id` (required) | path | integer ≥ 1 |  |  |" in page
    assert "| `k` | query | integer | `10` |  (e.g. `5`) |" in page


def test_conditions_are_listed_once(page: str) -> None:
    route, _, conditions = page.partition("## Conditions")
    assert "`since`" not in route
    assert "And all [conditions](#conditions)." in route
    assert "| `since` | query | string |  | from \\| then on |" in conditions
    assert "## Conditions" not in api_markdown(DESCRIPTION)
    assert "`since`" in api_markdown(DESCRIPTION)


def test_bodies_by_type_and_by_name(page: str) -> None:
    assert "The body. The item.\n\n- `application/json`, [Item](#item)\n- `multipart/form-data`\n" in page
    assert '    - `image` (required), file\n    - `metadata`, string: JSON (e.g. `"{}"`)\n' in page
    assert "| 200 | `application/json` [Item](#item) | the item |" in page
    assert "| 204 | none | none |" in page
    body = page.partition("### Item")[2]
    assert "| `id` | integer | its number (e.g. `17`) |" in body
    assert "| `box` (optional) | list of 4 integer |  |" in body
    assert '{\n  "id": 17,\n  "box": [1, 1, 1, 1]\n}' in body
    assert "### Anything\n\nAny JSON.\n" in page


def test_errors_are_listed_once_with_their_example(page: str) -> None:
    assert "[Errors](#errors): `404`." in page
    row = "| 404 | Not Found: no such thing | `/problems/gone`: no item \\| 17 | `Retry-After` |"
    assert page.count(row) == 1


def test_every_link_of_the_real_page_leads_to_a_heading() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.*)", text, re.M)}
    assert not set(re.findall(r"\]\(#([^)]+)\)", text)) - headings


def test_every_example_of_the_real_page_is_json() -> None:
    examples = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) > 20
    for each in examples:
        json.loads(each)


def test_the_description_names_the_scope_of_every_protected_route() -> None:
    openapi = create_app(ServiceConfig()).openapi()
    paths = openapi["paths"]
    assert paths["/v1/query"]["post"]["security"] == [{"bearer": ["read"]}, {"header": ["read"]}]
    assert UNLIMITED not in paths["/v1/query"]["post"]
    assert paths["/v1/persons/{person_id}"]["delete"]["security"] == [{"bearer": ["write"]}, {"header": ["write"]}]
    assert paths["/v1/persons/{person_id}"]["delete"][UNLIMITED] is True
    assert paths["/healthz"]["get"]["security"] == []
    for path, methods in paths.items():
        for operation in methods.values():
            assert bool(operation["security"]) == (path.startswith("/v1/") or path == "/metrics")


def test_the_real_conditions_are_those_of_three_routes() -> None:
    assert PAGE.read_text(encoding="utf-8").count("And all [conditions](#conditions).") == 3
    names = {parameter for parameter in FilterParams.model_fields if f"| `{parameter}` |" in PAGE.read_text()}
    assert names == set(FilterParams.model_fields)


def test_the_description_is_enough_for_a_generated_client(config: ServiceConfig) -> None:
    described = create_app(config, open_parts=False).openapi()
    assert described["servers"][0]["url"] == "/"
    assert described["info"]["license"]["identifier"] == "Apache-2.0"
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    assert {"query", "query_item", "add_items", "erase_items", "read_audit", "healthz"} <= set(names)
    assert {name for name, each in operations.items() if each["security"] == []} == {"GET /healthz", "GET /readyz"}
    for route, field in (("POST /v1/query", "image"), ("POST /v1/embed", "image"), ("POST /v1/items", "images")):
        form = operations[route]["requestBody"]["content"]["multipart/form-data"]
        assert form["schema"]["properties"][field]["type"] == "array"
        assert form["schema"]["properties"][field]["items"] == {"type": "string", "format": "binary"}
