// What is asked besides the images. The form, a query's parameters and the page's address use the same names.

import { $, make } from "./dom.js";

const ALWAYS = ["gallery", "camera_id", "k"]; // the others are conditions
const form = $("form");

export const gallery = () => $("gallery").value;

// RFC 3339 in UTC for a local time, and back
export const fromLocal = (text) => new Date(text).toISOString();
export function toLocal(text) {
  const at = new Date(text);
  return Number.isNaN(at.valueOf()) ? "" : new Date(at - 60000 * at.getTimezoneOffset()).toISOString().slice(0, 19);
}

export function asked() {
  const found = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim()) found.append(name, $(name)?.type === "datetime-local" ? fromLocal(value) : value.trim());
  }
  return found;
}

// Fills the form with what an address says; a list of cameras has to be there.
export function restore(given) {
  for (const field of form.elements) {
    if (!field.name || field.name === "gallery") continue;
    const values = given.getAll(field.name);
    if (field.type === "checkbox") field.checked = values.includes(field.value);
    else if (values.length) field.value = field.type === "datetime-local" ? toLocal(values[0]) : values[0];
    if (field.selectedIndex < 0) field.selectedIndex = 0;
  }
  show();
  $("conditions").open ||= conditions().size > 0;
}

// Offers cameras to choose from, and those that an address names already.
export function offerCameras(entries, given) {
  const numbers = new Map(entries.filter((each) => each.camera_id !== null).map((each) => [each.camera_id, each.items]));
  const asked = ["camera_id", "cameras", "exclude_cameras"].flatMap((name) => given.getAll(name));
  for (const name of asked) if (name && !numbers.has(name)) numbers.set(name, 0);
  const names = [...numbers.keys()].sort(new Intl.Collator(undefined, { numeric: true }).compare);
  const before = $("camera").value;
  $("camera").replaceChildren(new Option("not known", ""), ...names.map((name) => new Option(name, name)));
  $("camera").value = names.includes(before) ? before : "";
  $("camera-names").replaceChildren(...names.map((value) => make("option", { value })));
  for (const box of form.querySelectorAll(".chips")) {
    box.replaceChildren(...names.map((value) => make("label", {},
      make("input", { type: "checkbox", name: box.dataset.name, value }), value, make("small", {}, numbers.get(value).toLocaleString()))));
    box.parentElement.hidden = names.length === 0;
  }
}

export function clear() {
  for (const field of form.elements) {
    if (!field.name || ALWAYS.includes(field.name)) continue;
    if (field.type === "checkbox") field.checked = false;
    else field.value = "";
  }
  show();
}

export function change(name, value) {
  const field = form.elements.namedItem(name);
  if (field?.name) field.value = value;
  for (const box of form.querySelectorAll(`[name="${name}"][type=checkbox]`)) box.checked = box.value === value;
}

// Keeps the conditions in the address, so that a reload has them; never a key, never an image.
export function keep() {
  history.replaceState(null, "", `?${asked()}`);
  show();
}

function conditions() {
  return new Set([...asked().keys()].filter((name) => !ALWAYS.includes(name)));
}

function show() {
  const { size } = conditions();
  $("condition-count").textContent = size ? `${size} set` : "";
  $("clear").hidden = size === 0;
}

// a wrong value in the closed part must be seen to be put right
form.addEventListener("invalid", () => { $("conditions").open = true; }, true);
$("zone").textContent = `Times of this device (${Intl.DateTimeFormat().resolvedOptions().timeZone}).`;
