// The API reference: draws openapi.json, each operation with parameters, body, responses, errors and a curl example.

import { $, make } from "./dom.js";

const text = (name, textContent = "", className = "") => make(name, { textContent, className });

// A paragraph; text between backticks becomes <code>.
function prose(markdown) {
  return make("p", {}, ...markdown.split("`").map((part, place) => (place % 2 ? text("code", part) : part)));
}

const paragraphs = (markdown = "") => markdown.trim().split("\n\n").filter(Boolean).map(prose);

function resolve(schema, api) {
  return schema?.$ref ? resolve(schema.$ref.slice(2).split("/").reduce((at, key) => at[key], api), api) : schema ?? {};
}

function typeName(reference, api) {
  const schema = resolve(reference, api);
  const parts = schema.anyOf ?? schema.oneOf;
  if (parts) return parts.map((part) => typeName(part, api)).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return schema.prefixItems ? `array of ${schema.prefixItems.length}` : `array of ${typeName(schema.items, api)}`;
  return schema.format === "binary" ? "file" : schema.format ?? schema.type ?? "any";
}

function bounds(schema) {
  const all = [schema, ...(schema.anyOf ?? [])];
  const value = (key) => all.find((part) => part[key] !== undefined)?.[key];
  const [low, high, longest] = [value("minimum"), value("maximum"), value("maxLength")];
  return [low !== undefined || high !== undefined ? `${low ?? "…"} to ${high ?? "…"}` : "", longest ? `up to ${longest} characters` : ""].filter(Boolean).join(", ");
}

function example(reference, api, depth = 0) {
  const schema = resolve(reference, api);
  for (const each of [reference, schema]) if (each?.examples?.length) return each.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.anyOf) return schema.anyOf.some((part) => part.type === "null") ? null : example(schema.anyOf[0], api, depth);
  if (schema.enum) return schema.enum[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.type === "object" || schema.properties) {
    return depth > 4 ? {} : Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, part]) => [key, example(part, api, depth + 1)]));
  }
  if (schema.type === "array") return schema.prefixItems ? schema.prefixItems.map(() => 0) : [example(schema.items, api, depth + 1)];
  return { string: schema.format === "date-time" ? "2026-05-01T09:30:00Z" : "…", integer: 0, number: 0, boolean: false }[schema.type] ?? null;
}

function table(heads, rows) {
  const node = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => text("th", head)))));
  node.append(make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))))));
  return make("div", { className: "scroll", tabIndex: 0 }, node);
}

function block(content) {
  return make("pre", { tabIndex: 0 }, text("code", typeof content === "string" ? content : JSON.stringify(content, null, 2)));
}

function parameters(operation, api) {
  const rows = (operation.parameters ?? []).map(({ name, in: place, schema, description, required }) => {
    const standing = schema.default !== undefined && schema.default !== null ? `default: ${JSON.stringify(schema.default)}` : required ? "required" : "optional";
    return [text("code", name), place, typeName(schema, api).replace(" or null", ""), [standing, bounds(schema)].filter(Boolean).join("; "), description ?? schema.description ?? ""];
  });
  return rows.length ? [text("h4", "Parameters"), table(["name", "in", "type", "limits", "meaning"], rows)] : [];
}

function body(operation, api) {
  const content = Object.entries(operation.requestBody?.content ?? {});
  if (!content.length) return [];
  const rows = content.flatMap(([type, { schema }]) => {
    const parts = Object.entries(resolve(schema, api).properties ?? {});
    if (!parts.length) return [[text("code", type), "the body", "the image itself"]];
    return parts.map(([field, part]) => [text("code", type), text("code", field), part.description ?? typeName(part, api)]);
  });
  return [text("h4", "Body"), table(["type", "field", "meaning"], rows)];
}

function responses(operation, api) {
  const all = Object.entries(operation.responses);
  const rows = all.map(([status, response]) => [text("code", status), Object.keys(response.content ?? {}).join(", ") || "no body", response.description]);
  const schema = all.find(([status]) => status.startsWith("2"))?.[1].content?.["application/json"]?.schema;
  const errors = all.flatMap(([, response]) => Object.values(response.content ?? {}).map((each) => each.example)).filter((each) => each?.status);
  return [
    text("h4", "Responses"), table(["status", "type", "meaning"], rows),
    ...(schema ? [text("h4", "Example"), block(example(schema, api))] : []),
    ...(errors.length ? [make("details", {}, text("summary", "Example errors"), block(errors))] : []),
  ];
}

function curl(method, path, operation) {
  const command = operation["x-curl"] ?? `curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}'{origin}${path}'`;
  return command.replace("{origin}", new URL(".", location.href).href.slice(0, -1)).replace("{name}", "default").replace(/\{[a-z_]+\}/g, "17");
}

function draw(method, path, operation, api) {
  return make("section", { className: "operation", id: operation.operationId },
    make("h3", {}, text("span", method.toUpperCase(), `method ${method}`), path),
    make("p", { className: "summary" }, operation.summary, operation.responses["401"] ? text("small", "API key") : ""),
    ...paragraphs(operation.description),
    ...parameters(operation, api), ...body(operation, api),
    text("h4", "Try it"), block(curl(method, path, operation)), ...responses(operation, api));
}

async function start() {
  const api = await (await fetch("openapi.json")).json();
  $("version").textContent = `version ${api.info.version}`;
  $("about").replaceChildren(...paragraphs(api.info.description));
  const operations = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => [method, path, operation]));
  for (const tag of api.tags) {
    const group = operations.filter(([, , operation]) => operation.tags?.includes(tag.name));
    $("operations").append(text("h2", tag.name), prose(tag.description), ...group.map((each) => draw(...each, api)));
    $("toc").append(make("li", {}, text("b", tag.name), make("ul", {}, ...group.map(([method, path, operation]) =>
      make("li", {}, make("a", { href: `#${operation.operationId}` }, text("i", method.toUpperCase()), path.replaceAll("/", "/\u200b")))))));
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

start().catch((error) => { $("error").textContent = `The API description cannot be loaded: ${error.message}`; $("error").hidden = false; });
