// Draws /openapi.json: every operation with its parameters, body, answers, an example and a curl line.

const $ = (id) => document.getElementById(id);

function make(name, text = "", className = "") {
  const node = document.createElement(name);
  node.textContent = text;
  if (className) node.className = className;
  return node;
}

// `code` between backticks, everything else as text
function prose(text) {
  const node = make("p");
  text.split("`").forEach((part, place) => node.append(place % 2 ? make("code", part) : part));
  return node;
}

function resolve(schema, api) {
  return schema?.$ref ? resolve(schema.$ref.slice(2).split("/").reduce((at, key) => at[key], api), api) : schema ?? {};
}

function kind(given, api) {
  const schema = resolve(given, api);
  if (schema.anyOf) return schema.anyOf.map((part) => kind(part, api)).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return schema.prefixItems ? `array of ${schema.prefixItems.length}` : `array of ${kind(schema.items, api)}`;
  return schema.format === "binary" ? "file" : schema.format ?? schema.type ?? "any";
}

function bounds(given) {
  const all = [given, ...(given.anyOf ?? [])];
  const value = (key) => all.find((part) => part[key] !== undefined)?.[key];
  const [low, high, longest] = [value("minimum"), value("maximum"), value("maxLength")];
  return [low !== undefined || high !== undefined ? `${low ?? "…"} to ${high ?? "…"}` : "", longest ? `up to ${longest} letters` : ""].filter(Boolean).join(", ");
}

function example(given, api, depth = 0) {
  const schema = resolve(given, api);
  if (given?.examples?.length) return given.examples[0];
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.anyOf) return schema.anyOf.some((part) => part.type === "null") ? null : example(schema.anyOf[0], api, depth);
  if (schema.enum) return schema.enum[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.type === "object" || schema.properties) {
    if (depth > 4) return {};
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, part]) => [key, example(part, api, depth + 1)]));
  }
  if (schema.type === "array") return schema.prefixItems ? schema.prefixItems.map(() => 0) : [example(schema.items, api, depth + 1)];
  return { string: schema.format === "date-time" ? "2026-05-01T09:30:00Z" : "…", integer: 0, number: 0, boolean: false }[schema.type] ?? null;
}

function table(heads, rows) {
  const [box, node] = [make("div", "", "scroll"), make("table")];
  box.tabIndex = 0;
  const head = node.createTHead().insertRow();
  for (const text of heads) head.append(make("th", text));
  const body = node.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const cell of cells) row.insertCell().append(cell);
  }
  box.append(node);
  return box;
}

function block(title, text) {
  const pre = make("pre");
  pre.tabIndex = 0;
  pre.append(make("code", text));
  return [make("h4", title), pre];
}

function parameters(operation, api) {
  const rows = (operation.parameters ?? []).map(({ name, in: place, schema, description = "", required }) => {
    const limits = bounds(schema);
    const standard = schema.default !== undefined ? `default: ${schema.default}` : required ? "required" : "optional";
    return [make("code", name), place, kind(schema, api).replace(" or null", ""), [standard, limits].filter(Boolean).join("; "), description || (schema.description ?? "")];
  });
  return rows.length ? [make("h4", "Parameters"), table(["name", "in", "type", "", "meaning"], rows)] : [];
}

function body(operation, api) {
  const content = Object.entries(operation.requestBody?.content ?? {});
  if (!content.length) return [];
  const rows = content.flatMap(([type, { schema }]) => {
    const parts = Object.entries(resolve(schema, api).properties ?? {});
    if (!parts.length) return [[make("code", type), "", "the picture itself"]];
    return parts.map(([field, part]) => [make("code", type), make("code", field), part.description ?? kind(part, api)]);
  });
  return [make("h4", "Body"), table(["type", "field", "meaning"], rows)];
}

function answers(operation, api) {
  const rows = Object.entries(operation.responses).map(([status, answer]) => [make("code", status), Object.keys(answer.content ?? {}).join(", "), answer.description]);
  const schema = operation.responses["200"]?.content?.["application/json"]?.schema;
  const shown = schema ? block("Example", JSON.stringify(example(schema, api), null, 2)) : [];
  return [make("h4", "Answers"), table(["status", "type", "meaning"], rows), ...shown];
}

function curl(method, path, operation) {
  const text = operation["x-curl"] ?? `curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}'{origin}${path}'`;
  return text.replace("{origin}", location.origin).replace(/\{[a-z_]+\}/g, "17");
}

function draw(method, path, operation, api) {
  const section = make("section", "", "operation");
  section.id = operation.operationId;
  const title = make("h3");
  title.append(make("span", method.toUpperCase(), `method ${method}`), path);
  section.append(title, make("p", operation.summary, "summary"));
  for (const text of (operation.description ?? "").split("\n\n").filter(Boolean)) section.append(prose(text));
  section.append(...parameters(operation, api), ...body(operation, api), ...block("Try it", curl(method, path, operation)), ...answers(operation, api));
  const entry = make("li");
  const link = make("a", `${method.toUpperCase()} ${path}`);
  link.href = `#${section.id}`;
  entry.append(link);
  $("toc").append(entry);
  return section;
}

async function start() {
  const api = await (await fetch("/openapi.json")).json();
  $("version").textContent = `version ${api.info.version}`;
  $("about").replaceChildren(...api.info.description.trim().split("\n\n").map(prose));
  const operations = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => [method, path, operation]));
  for (const tag of api.tags) {
    $("operations").append(make("h2", tag.name));
    for (const [method, path, operation] of operations) if (operation.tags?.includes(tag.name)) $("operations").append(draw(method, path, operation, api));
  }
  if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
}

start().catch((error) => { $("error").textContent = `The description cannot be loaded: ${error.message}`; $("error").hidden = false; });
