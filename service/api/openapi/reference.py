"""Writes docs/api.md from the OpenAPI description: `python -m vitreid.service.api.openapi.reference docs/api.md`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from vitreid.service.api.app import create_app
from vitreid.service.api.openapi.description import UNLIMITED
from vitreid.service.api.params import FilterParams
from vitreid.service.api.problems import MEDIA_TYPE
from vitreid.service.config import ServiceConfig

Schema = Mapping[str, Any]

LARGEST_SHOWN = 2**53  # beyond, a limit only says what a computer can hold
LIMITS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
SAMPLES: dict[str, object] = {
    "date-time": "2026-05-01T09:30:00Z",
    "binary": "...",
    "string": "...",
    "integer": 1,
    "number": 1.0,
    "boolean": False,
    "object": {},
    "null": None,
}


def type_text(schema: Schema) -> str:
    """A short name of a schema's type with its limits; those that have a name of their own are linked."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(type_text(part) for part in parts)
    if choices := schema.get("enum"):
        return " or ".join(value_text(choice) for choice in choices)
    kind = str(schema.get("format") or schema.get("type") or "anything")
    if kind == "binary":
        return "file"
    if kind == "array":
        return _list_text(schema)
    if kind == "object" and isinstance(values := schema.get("additionalProperties"), Mapping):
        return f"object of {type_text(values)}"
    limits = [f"{sign} {_number(schema[key])}" for key, sign in LIMITS if abs(schema.get(key, 2**63)) < LARGEST_SHOWN]
    if "maxLength" in schema:
        limits.append(f"of at most {schema['maxLength']}")
    return " ".join([kind, *limits])


def sample(schema: Schema, named: Mapping[str, Schema]) -> object:
    """A value of this schema, made of its examples; `named` are the schemas that references lead to."""
    if "$ref" in schema:
        return sample(named[schema["$ref"].rpartition("/")[2]], named)
    if "examples" in schema:
        return schema["examples"][0]
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return sample(parts[0], named)
    if choices := schema.get("enum"):
        return choices[0]
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        # What may be left out and has no example is one of several possibilities: none of them is shown.
        return {
            name: None
            if name not in required and _may_be_null(part) and "examples" not in part
            else sample(part, named)
            for name, part in properties.items()
        }
    if schema.get("type") == "array":
        parts = schema.get("prefixItems") or [schema.get("items", {})]
        return [sample(part, named) for part in parts]
    return SAMPLES[str(schema.get("format") or schema.get("type") or "string")]


def value_text(value: object) -> str:
    """A value as code."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _list_text(schema: Schema) -> str:
    if parts := schema.get("prefixItems"):
        kinds = {type_text(part) for part in parts}
        return f"list of {len(parts)} {' or '.join(sorted(kinds))}"
    limit = f" (at most {schema['maxItems']})" if "maxItems" in schema else ""
    return f"list of {type_text(schema.get('items', {}))}{limit}"


def _number(value: float) -> str:
    return f"{value:.15g}"


def _may_be_null(schema: Schema) -> bool:
    return any(part.get("type") == "null" for part in schema.get("anyOf", ()))


SHORT_LIST = re.compile(r"\[\s+([^\[\]{}]+?)\s+\]")
"""A list of numbers or words in JSON, which would fill the page with a line each."""
ORIGIN = "http://127.0.0.1:8000"
HEAD = """# The REST API

This page is written from the service's own description by `make docs`; a running service shows the same at `/docs`,
and for programs at `/openapi.json`.
"""
KEYS = f"""`key` is the scope that an API key needs: `write` may do what `read` may, and `admin` may do all. "no limits"
refuses keys that are limited to galleries or cameras. Send a key with every request:

```
curl -H 'Authorization: Bearer vitreid_...' '{ORIGIN}/v1/info'
curl -H 'X-API-Key: vitreid_...' '{ORIGIN}/v1/info'
```
"""
CONDITIONS = """Parameters that several routes take. All that are given must hold, and hold before anything is searched.
Items of which nothing is known match none of them: no camera, no time, no quality. Repeat a parameter for several
values: `cameras=c1&cameras=c2`; of any other parameter that stands several times the last one counts.
"""
ERRORS = f"""Every answer outside of the 2xx is a [Problem](#problem) of type `{MEDIA_TYPE}`. What any route may answer
besides: `404` and `405` where there is nothing, or nothing of this method, and `500` for a mistake of ours, which is in
the log under the `request_id`. With `Retry-After` the same request may succeed after so many seconds.
"""


def api_markdown(openapi: Schema, conditions: Collection[str] = ()) -> str:
    """The description as Markdown: routes with their parameters, bodies and errors, then bodies and errors by name.

    The parameters called `conditions` are listed once for the routes that have all of them.
    """
    named = openapi.get("components", {}).get("schemas", {})
    operations = [each for tag in openapi["tags"] for each in _operations(openapi, tag["name"])]
    lines = [HEAD, openapi["info"]["description"].strip(), "", "## Routes", "", *_overview(operations), KEYS]
    for tag in openapi["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
        for method, path, operation in _operations(openapi, tag["name"]):
            lines += _operation(method, path, operation, conditions)
    if shared := next((each for *_, each in operations if conditions and _has_all(each, conditions)), None):
        lines += ["## Conditions", "", CONDITIONS]
        lines += _parameters([each for each in shared["parameters"] if each["name"] in conditions])
    lines += ["## Errors", "", ERRORS, *_errors(operations), "## Bodies", ""]
    for name, schema in sorted(named.items()):
        lines += _body(name, schema, named)
    return "\n".join(lines).rstrip() + "\n"


def _operations(openapi: Schema, tag: str) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _overview(operations: Collection[tuple[str, str, Schema]]) -> Iterator[str]:
    yield "| route | key | what it does |\n|---|---|---|"
    for method, path, operation in operations:
        yield f"| [{method} {path}](#{_anchor(f'{method} {path}')}) | {_key(operation)} | {operation['summary']} |"
    yield ""


def _operation(method: str, path: str, operation: Schema, conditions: Collection[str]) -> Iterator[str]:
    yield f"### {method} {path}\n"
    yield f"**{operation['summary']}.** {_paragraphs(operation.get('description', ''))}".rstrip() + "\n"
    yield f"Key: {_key(operation)}.\n"
    if "x-curl" in operation:
        yield f"```\n{operation['x-curl'].replace('{origin}', ORIGIN)}\n```\n"
    parameters = operation.get("parameters", [])
    listed_once = conditions if _has_all(operation, conditions) else ()
    yield from _parameters([each for each in parameters if each["name"] not in listed_once])
    if listed_once:
        yield "And all [conditions](#conditions).\n"
    if body := operation.get("requestBody"):
        yield from _request(body)
    yield from _answers(operation["responses"])


def _parameters(parameters: Collection[Schema]) -> Iterator[str]:
    if not parameters:
        return
    yield "| parameter | in | type | default | meaning |\n|---|---|---|---|---|"
    for each in parameters:
        schema = each["schema"]
        name = f"`{each['name']}`" + (" (required)" if each.get("required") else "")
        default = value_text(schema["default"]) if schema.get("default") is not None else ""
        meaning = _cell(each.get("description") or schema.get("description", ""))
        kind = _cell(type_text(schema).removesuffix(" or null"))
        yield f"| {name} | {each['in']} | {kind} | {default} | {meaning}{_example(each, schema)} |"
    yield ""


def _request(body: Schema) -> Iterator[str]:
    yield f"The body. {_cell(body.get('description', ''))}".rstrip() + "\n"
    for kind, content in body["content"].items():
        schema = content["schema"]
        yield f"- `{kind}`" + ("" if "properties" in schema else f", {type_text(schema)}")
        for name, part in schema.get("properties", {}).items():
            required = " (required)" if name in schema.get("required", ()) else ""
            described = f": {_cell(part['description'])}" if "description" in part else ""
            yield f"    - `{name}`{required}, {type_text(part)}{described}{_example(part)}"
    yield ""


def _answers(responses: Schema) -> Iterator[str]:
    good = {status: answer for status, answer in responses.items() if not _is_problem(answer)}
    yield "| status | body | when |\n|---|---|---|"
    for status, answer in good.items():
        content = answer.get("content", {})
        kinds = [f"`{kind}`" + (f" {type_text(each['schema'])}" if "$ref" in each.get("schema", {}) else "")
                 for kind, each in content.items()]  # fmt: skip
        yield f"| {status} | {', '.join(kinds) or 'none'} | {_cell(answer['description'])} |"
    yield ""
    if wrong := [f"`{status}`" for status, answer in responses.items() if _is_problem(answer)]:
        yield f"[Errors](#errors): {', '.join(wrong)}.\n"


def _errors(operations: Collection[tuple[str, str, Schema]]) -> Iterator[str]:
    found: dict[str, Schema] = {}
    for *_, operation in operations:
        found |= {status: answer for status, answer in operation["responses"].items() if _is_problem(answer)}
    yield "| status | when | example | |\n|---|---|---|---|"
    for status, answer in sorted(found.items()):
        example = answer["content"][MEDIA_TYPE].get("example", {})
        again = ", ".join(f"`{name}`" for name in answer.get("headers", ()))
        shown = f"`{example['type']}`: {_cell(example['detail'])}" if example else ""
        yield f"| {status} | {_cell(answer['description'])} | {shown} | {again} |"
    yield ""
    for answer in list(found.values())[:1]:
        yield from _json(answer["content"][MEDIA_TYPE].get("example", {}))


def _body(name: str, schema: Schema, named: Mapping[str, Schema]) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield f"### {name}\n"
    yield _cell(schema.get("description", "" if properties else "Any JSON.")) + "\n"
    if not properties:
        return
    required = schema.get("required", ())
    yield "| field | type | meaning |\n|---|---|---|"
    for field, each in properties.items():
        shown = f"`{field}`" + ("" if field in required else " (optional)")
        yield f"| {shown} | {_cell(type_text(each))} | {_cell(each.get('description', ''))}{_example(each)} |"
    yield ""
    yield from _json(sample(schema, named))


def _key(operation: Schema) -> str:
    scopes = sorted({scope for choice in operation.get("security", ()) for roles in choice.values() for scope in roles})
    needed = ", ".join(f"`{scope}`" for scope in scopes) or "none"
    return f"{needed}, no limits" if operation.get(UNLIMITED) else needed


def _has_all(operation: Schema, names: Collection[str]) -> bool:
    return bool(names) and set(names) <= {each["name"] for each in operation.get("parameters", ())}


def _is_problem(answer: Schema) -> bool:
    return MEDIA_TYPE in answer.get("content", {})


def _example(*schemas: Schema) -> str:
    for schema in schemas:
        if examples := schema.get("examples") or [each for each in [schema.get("example")] if each is not None]:
            return f" (e.g. {value_text(examples[0])})" if examples[0] is not None else ""
    return ""


def _json(value: object) -> Iterator[str]:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    text = SHORT_LIST.sub(lambda match: f"[{' '.join(match[1].split())}]", text)
    yield f"```json\n{text}\n```\n"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _paragraphs(text: str) -> str:
    return "\n\n".join(_cell(part) for part in text.split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def describe() -> str:
    """The whole page, of the application as it is."""
    return api_markdown(create_app(ServiceConfig()).openapi(), frozenset(FilterParams.model_fields))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(describe(), encoding="utf-8")
