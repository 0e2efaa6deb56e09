// One person label for all selected images.

import { fetchJson, jsonBody } from "./api.js";
import { $, count, on } from "./dom.js";
import { itemUrl, keyOf, notify } from "./items.js";
import { deselect, makeReadOnly, selected, selectionDialog } from "./selection.js";

function prepare() {
  $("label-text").value = selected().find((item) => item.person_id !== null)?.person_id ?? "";
}

// One request per image: labelled ones are deselected, the others stay selected for a retry.
async function label(items) {
  const person_id = $("label-text").value.trim() || null;
  const labelled = [];
  try {
    for (const item of items) labelled.push(await fetchJson(itemUrl(item), jsonBody("PATCH", { person_id })));
  } finally {
    if (labelled.length) notify("labelled", labelled);
    deselect(labelled.map(keyOf));
  }
  $("summary").textContent = person_id === null ? `label removed from ${count(labelled.length, "image")}` : `${count(labelled.length, "image")} labelled ${person_id}`;
  return "answer-title";
}

on("label-text", "focus", () => $("label-text").select());
selectionDialog("label", "Label", { prepare, action: label, onForbidden: makeReadOnly });
