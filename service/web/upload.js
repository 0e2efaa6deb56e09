// Upload of images into the gallery, a few per request, with the outcome of each.

import { fetchJson } from "./api.js";
import { $, count, make, on, onSubmit } from "./dom.js";
import { fromLocal, gallery } from "./parameters.js";

const CHUNK = 8;
const OUTCOMES = { added: "added", duplicate: "duplicate", rejected: "rejected", error: "failed", unsent: "not sent" };

let files = [];
let maxImages = CHUNK; // images of one request

export function limitUpload(limit) {
  maxImages = Math.min(CHUNK, limit);
}

export function chooseUploads(chosen) {
  files = chosen;
  $("upload").open = true;
  $("upload-chosen").textContent = files.length ? `${count(files.length, "image")} selected` : "Drop crops here, or choose files";
  $("add").textContent = files.length ? `Add ${count(files.length, "image")}` : "Add";
}

async function upload() {
  // fixed when the button is pressed, whatever is chosen meanwhile
  const [chosen, url, shared] = [files, `/v1/items?gallery=${gallery()}`, labels()];
  const results = [];
  let failure = chosen.length ? null : new Error("Choose images first.");
  if (!gallery()) failure = new Error("The service has not answered yet. Try again in a moment.");
  $("outcomes").replaceChildren();
  while (results.length < chosen.length && !failure) {
    $("upload-summary").textContent = `${results.length} of ${count(chosen.length, "image")} sent…`;
    try {
      const chunk = (await send(url, chosen.slice(results.length, results.length + maxImages), shared)).results;
      results.push(...chunk);
      $("outcomes").append(...chunk.map((result) => outcome(result.status, result.source, detail(result))));
    } catch (error) {
      failure = error;
    }
  }
  const unsent = chosen.slice(results.length);
  $("outcomes").append(...unsent.map((file) => outcome("unsent", file.name)));
  $("upload-summary").textContent = summary(results, failure);
  if (files === chosen) chooseUploads(unsent);
  if (results.some((result) => result.status === "added")) document.dispatchEvent(new CustomEvent("added"));
}

function labels() {
  const shared = {};
  if ($("upload-camera").value.trim()) shared.camera_id = $("upload-camera").value.trim();
  if ($("upload-time").value) shared.captured_at = fromLocal($("upload-time").value);
  return shared;
}

function send(url, chunk, shared) {
  const body = new FormData();
  for (const file of chunk) body.append("images", file, file.name);
  if (Object.keys(shared).length) body.append("metadata", JSON.stringify(shared));
  return fetchJson(url, { method: "POST", body });
}

function detail(result) {
  if (result.differing.length) return `existing ${result.differing.join(", ")} kept`;
  return result.reason ?? result.error?.detail ?? result.warning ?? "";
}

function outcome(status, name, text = "") {
  return make("li", { className: status }, make("b", {}, OUTCOMES[status]), ` ${name ?? "image"}${text && `: ${text}`}`);
}

function summary(results, failure) {
  const counts = Object.keys(OUTCOMES).map((status) => [results.filter((result) => result.status === status).length, OUTCOMES[status]]);
  const text = counts.filter(([number]) => number).map(([number, word]) => `${number.toLocaleString()} ${word}`).join(", ");
  return [text && `${text}.`, failure?.message].filter(Boolean).join(" ");
}

on("upload-files", "change", () => { chooseUploads([...$("upload-files").files]); $("upload-files").value = ""; });
onSubmit("upload-form", upload);
