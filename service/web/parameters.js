// Query parameters. The form, the query and the URL of the page use the same names.

import { $, make } from "./dom.js";

const BASIC = ["gallery", "camera_id", "k"]; // the others are filters and options
const form = $("form");

export const gallery = () => $("gallery").value;

// Local time to RFC 3339 in UTC, and back.
export const fromLocal = (text) => new Date(text).toISOString();
export function toLocal(text) {
  const instant = new Date(text);
  return Number.isNaN(instant.valueOf()) ? "" : new Date(instant - 60000 * instant.getTimezoneOffset()).toISOString().slice(0, 19);
}

// The parameters that the form holds.
export function parameters() {
  const params = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim()) params.append(name, $(name)?.type === "datetime-local" ? fromLocal(value) : value.trim());
  }
  return params;
}

// Fills the form from parameters; the cameras must be in place.
export function fillForm(params) {
  for (const field of form.elements) {
    if (!field.name || field.name === "gallery") continue;
    const values = params.getAll(field.name);
    if (field.type === "checkbox") field.checked = values.includes(field.value);
    else if (values.length) field.value = field.type === "datetime-local" ? toLocal(values[0]) : values[0];
    if (field.selectedIndex < 0) field.selectedIndex = 0;
  }
  showCount();
  $("options").open ||= options().size > 0;
}

// Fills the lists of cameras with those of the gallery and those that the parameters name.
export function fillCameras(entries, params) {
  const sizes = new Map(entries.filter((each) => each.camera_id !== null).map((each) => [each.camera_id, each.items]));
  const named = ["camera_id", "cameras", "exclude_cameras"].flatMap((name) => params.getAll(name));
  for (const name of named) if (name && !sizes.has(name)) sizes.set(name, 0);
  const names = [...sizes.keys()].sort(new Intl.Collator(undefined, { numeric: true }).compare);
  const before = $("camera").value;
  $("camera").replaceChildren(new Option("unknown", ""), ...names.map((name) => new Option(name, name)));
  $("camera").value = names.includes(before) ? before : "";
  $("camera-names").replaceChildren(...names.map((value) => make("option", { value })));
  for (const box of form.querySelectorAll(".chips")) {
    box.replaceChildren(...names.map((value) => make("label", {},
      make("input", { type: "checkbox", name: box.dataset.name, value }), value, make("small", {}, sizes.get(value).toLocaleString()))));
    box.parentElement.hidden = names.length === 0;
  }
}

export function clearOptions() {
  for (const field of form.elements) {
    if (!field.name || BASIC.includes(field.name)) continue;
    if (field.type === "checkbox") field.checked = false;
    else field.value = "";
  }
  showCount();
}

export function setParameter(name, value) {
  const field = form.elements.namedItem(name);
  if (field?.name) field.value = value;
  for (const box of form.querySelectorAll(`[name="${name}"][type=checkbox]`)) box.checked = box.value === value;
}

// Writes the parameters into the URL, so that a reload restores them; never a key, never an image.
export function saveToUrl() {
  history.replaceState(null, "", `?${parameters()}`);
  showCount();
}

function options() {
  return new Set([...parameters().keys()].filter((name) => !BASIC.includes(name)));
}

function showCount() {
  const { size } = options();
  $("option-count").textContent = size ? `${size} set` : "";
  $("clear").hidden = size === 0;
}

// Opens the section of an invalid field, so that it can be seen.
form.addEventListener("invalid", () => { $("options").open = true; }, true);
$("zone").textContent = `Times are in the time zone of this device (${Intl.DateTimeFormat().resolvedOptions().timeZone}).`;
