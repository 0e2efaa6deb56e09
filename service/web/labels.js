// One label for all marked pictures.

import { askJson, sending } from "./api.js";
import { relabel } from "./cards.js";
import { gallery } from "./conditions.js";
import { $, count, on } from "./dom.js";
import { forbid, marked, markedDialog, unmark } from "./marks.js";

function prepare() {
  $("label-text").value = marked().find((item) => item.person_id !== null)?.person_id ?? "";
}

// One request a picture: those that were labelled are unmarked, the others stay for another try.
async function label() {
  const person_id = $("label-text").value.trim() || null;
  const done = [];
  try {
    for (const item of marked()) done.push(await askJson(`/v1/items/${item.id}?gallery=${gallery()}`, sending("PATCH", { person_id })));
  } finally {
    relabel(done);
    unmark(done.map((item) => item.id));
  }
  $("summary").textContent = `${count(done.length, "picture")} ${person_id === null ? "without a label now" : `labelled ${person_id}`}`;
  return "answer-title";
}

on("label-text", "focus", () => $("label-text").select());
markedDialog("label", "Label", { prepare, act: label, denied: forbid });
