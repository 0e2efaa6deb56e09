// Adds images to the gallery, a few at a time, and says what became of each.

import { askJson } from "./api.js";
import { fromLocal, gallery } from "./conditions.js";
import { $, count, make, on, onSubmit } from "./dom.js";

const AT_ONCE = 8;
const WORDS = { added: "added", duplicate: "there already", rejected: "not taken", error: "failed", unsent: "not sent" };

let files = [];
let most = AT_ONCE; // images that one request may hold

export function allowAtOnce(limit) {
  most = Math.min(AT_ONCE, limit);
}

export function chooseToAdd(chosen) {
  files = chosen;
  $("adding").open = true;
  $("adding-chosen").textContent = files.length ? `${count(files.length, "image")} chosen` : "Drop crops here, or choose files";
  $("add").textContent = files.length ? `Add ${count(files.length, "image")}` : "Add";
}

async function add() {
  // what is sent, and where to, stays as it was when the button was pressed
  const [mine, address, known] = [files, `/v1/items?gallery=${gallery()}`, labels()];
  const results = [];
  let failure = mine.length ? null : new Error("Choose images first.");
  if (!gallery()) failure = new Error("The service has not answered yet. Try again in a moment.");
  $("outcomes").replaceChildren();
  while (results.length < mine.length && !failure) {
    $("adding-summary").textContent = `${results.length} of ${count(mine.length, "image")} sent…`;
    try {
      const few = (await send(address, mine.slice(results.length, results.length + most), known)).results;
      results.push(...few);
      $("outcomes").append(...few.map((each) => outcome(each.status, each.source, remark(each))));
    } catch (error) {
      failure = error;
    }
  }
  const unsent = mine.slice(results.length);
  $("outcomes").append(...unsent.map((file) => outcome("unsent", file.name)));
  $("adding-summary").textContent = summary(results, failure);
  if (files === mine) chooseToAdd(unsent); // others may have been chosen meanwhile
  if (results.some((result) => result.status === "added")) document.dispatchEvent(new CustomEvent("added"));
}

function labels() {
  const known = {};
  if ($("adding-camera").value.trim()) known.camera_id = $("adding-camera").value.trim();
  if ($("adding-time").value) known.captured_at = fromLocal($("adding-time").value);
  return known;
}

function send(address, few, known) {
  const body = new FormData();
  for (const file of few) body.append("images", file, file.name);
  if (Object.keys(known).length) body.append("metadata", JSON.stringify(known));
  return askJson(address, { method: "POST", body });
}

function remark(result) {
  if (result.differing.length) return `its ${result.differing.join(", ")} of before were kept`;
  return result.reason ?? result.error?.detail ?? result.warning ?? "";
}

function outcome(status, name, why = "") {
  return make("li", { className: status }, make("b", {}, WORDS[status]), ` ${name ?? "image"}${why && `: ${why}`}`);
}

function summary(results, failure) {
  const counted = Object.keys(WORDS).map((status) => [results.filter((result) => result.status === status).length, WORDS[status]]);
  const told = counted.filter(([number]) => number).map(([number, word]) => `${number.toLocaleString()} ${word}`).join(", ");
  return [told && `${told}.`, failure?.message].filter(Boolean).join(" ");
}

on("adding-files", "change", () => { chooseToAdd([...$("adding-files").files]); $("adding-files").value = ""; });
onSubmit("adding-form", add);
