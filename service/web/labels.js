// One label for all marked images.

import { askJson, sending } from "./api.js";
import { $, count, on } from "./dom.js";
import { addressOf, announce, keyOf } from "./items.js";
import { forbid, marked, markedDialog, unmark } from "./marks.js";

function prepare() {
  $("label-text").value = marked().find((item) => item.person_id !== null)?.person_id ?? "";
}

// One request an image: those that were labelled are unmarked, the others stay for another try.
async function label(items) {
  const person_id = $("label-text").value.trim() || null;
  const done = [];
  try {
    for (const item of items) done.push(await askJson(addressOf(item), sending("PATCH", { person_id })));
  } finally {
    if (done.length) announce("labelled", done);
    unmark(done.map(keyOf));
  }
  $("summary").textContent = `${count(done.length, "image")} ${person_id === null ? "without a label now" : `labelled ${person_id}`}`;
  return "answer-title";
}

on("label-text", "focus", () => $("label-text").select());
markedDialog("label", "Label", { prepare, act: label, denied: forbid });
