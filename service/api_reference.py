"""docs/api.md, written from the application's own description: `python -m service.api_reference docs/api.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from service.app import create_app
from service.config import ServiceConfig

Schema = Mapping[str, Any]

HEAD = """# The REST API

This page is written from the service's own description by `make docs`; a running service shows the same at `/docs`,
and for programs at `/openapi.json`.
"""


def api_markdown(openapi: Schema) -> str:
    """The description as Markdown: every route with its parameters, bodies and errors, then every body."""
    lines = [HEAD, openapi["info"]["description"].strip(), ""]
    for tag in openapi["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
        for path, methods in openapi["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    lines += _operation(method, path, operation)
    lines += ["## Bodies", ""]
    for name, schema in sorted(openapi["components"]["schemas"].items()):
        lines += _body(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"### {method.upper()} {path}"
    yield ""
    yield f"**{operation['summary']}.** {_one_line(operation.get('description', ''))}".rstrip()
    yield ""
    if "x-curl" in operation:
        yield f"```\n{operation['x-curl'].replace('{origin}', 'http://127.0.0.1:8000')}\n```\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | default | meaning |\n|---|---|---|---|---|"
        for each in parameters:
            schema = each["schema"]
            name = f"`{each['name']}`" + (" (required)" if each.get("required") else "")
            default = _value(schema["default"]) if schema.get("default") is not None else ""
            meaning = _one_line(each.get("description") or schema.get("description", ""))
            yield f"| {name} | {each['in']} | {_type(schema)} | {default} | {meaning} |"
        yield ""
    if body := operation.get("requestBody"):
        kinds = ", ".join(f"`{kind}` {_type(content['schema'])}" for kind, content in body["content"].items())
        yield f"Body: {kinds}. {_one_line(body.get('description', ''))}".rstrip() + "\n"
    yield "| status | body | when |\n|---|---|---|"
    for status, answer in operation["responses"].items():
        media = answer.get("content", {}).items()
        kinds = ", ".join(_type(content.get("schema", {})) or kind for kind, content in media)
        yield f"| {status} | {kinds} | {_one_line(answer['description'])} |"
    yield ""


def _body(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    if text := _one_line(schema.get("description", "")):
        yield f"{text}\n"
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        yield "| field | type | meaning |\n|---|---|---|"
        for field, each in properties.items():
            shown = f"`{field}`" + ("" if field in required else " (optional)")
            example = f" Example: {_value(each['examples'][0])}." if each.get("examples") else ""
            yield f"| {shown} | {_type(each)} | {_one_line(each.get('description', ''))}{example} |"
        yield ""


def _type(schema: Schema) -> str:
    """A short name of a schema's type, with its limits."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(part) for part in parts)
    if choices := schema.get("enum"):
        return " or ".join(_value(choice) for choice in choices)
    kind = str(schema.get("format") or schema.get("type") or "")
    if kind == "array" and "items" in schema:
        return f"list of {_type(schema['items'])}"
    limits = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return " ".join([kind, *limits])


def _value(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def describe() -> str:
    """The whole page, of the application as it is."""
    return api_markdown(create_app(ServiceConfig()).openapi())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(describe(), encoding="utf-8")
