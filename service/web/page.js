// The search page: loads a gallery and connects the controls.

import { fetchJson } from "./api.js";
import { describeThresholds, showCalibration } from "./calibration.js";
import { clearAnswer, dropCards } from "./cards.js";
import { $, count, make, on, onDrop, showError, showText } from "./dom.js";
import "./erasure.js";
import { enableExplanations } from "./explain.js";
import { imageOf } from "./images.js";
import { keyOf } from "./items.js";
import "./labels.js";
import { clearOptions, fillCameras, fillForm, gallery, parameters } from "./parameters.js";
import { chooseFiles, chooseItem, enableSearch, forgetItems, leaveGallery, search } from "./query.js";
import { deselect } from "./selection.js";
import { chooseUploads, limitUpload } from "./upload.js";

const SAMPLES = 12;
const DEBOUNCE_MS = 250;

const initial = new URLSearchParams(location.search); // before the page writes its own parameters there

let info = null;
let galleries = [];
let loads = 0; // of a gallery; the result of an older one is dropped

async function start() {
  [info, { galleries }] = [await fetchJson("/v1/info"), await fetchJson("/v1/galleries")];
  $("starter").hidden = !info.bundle.starter;
  limitUpload(info.limits.images);
  enableExplanations(info.bundle.explains);
  showDrift(info.drift);
  $("gallery").replaceChildren(...galleries.map(({ name, state }) => Object.assign(new Option(name, name), { disabled: state !== "open" })));
  $("gallery-field").hidden = galleries.length < 2;
  const named = initial.get("gallery") ?? "default";
  const byName = (wanted) => galleries.find(({ name }) => name === wanted);
  const first = byName(named) ?? byName("default") ?? galleries[0];
  if (!first) throw new Error("This key has no access to any gallery.");
  if (initial.has("gallery") && first.name !== named) showError(new Error(`Gallery ${named} does not exist or is not accessible; showing ${first.name}.`));
  $("gallery").value = first.name;
  await loadGallery(initial);
  $("samples-panel").open = info.bundle.starter; // drawn people; real ones are shown on request only
  enableSearch();
}

// Loads size, cameras and settings of the gallery; the form gets `params`, or keeps its own. Returns false if a newer
// load overtook this one.
async function loadGallery(params = null) {
  const load = ++loads;
  const { cameras } = await fetchJson(`/v1/galleries/${gallery()}/cameras`);
  if (load !== loads) return false;
  const filled = params ?? parameters();
  const { index, settings } = galleries.find(({ name }) => name === gallery());
  const size = cameras.reduce((sum, camera) => sum + camera.items, 0);
  fillCameras(cameras, filled);
  fillForm(filled);
  $("facts").textContent = [count(size, "image"), index && `index ${index}`, `model ${info.bundle.name}`].filter(Boolean).join(" · ");
  const calibration = info.bundle.calibration?.data.domain === (settings?.domain ?? null) ? info.bundle.calibration : null;
  showCalibration(calibration);
  const minimum = settings?.min_score == null ? "" : `The minimum score of this gallery is ${settings.min_score}.`;
  $("min-score-help").textContent = [minimum, describeThresholds(calibration)].filter(Boolean).join(" ");
  $("empty").hidden = size > 0;
  $("blank").hidden = size === 0 || !$("none").hidden || $("results").children.length > 0;
  $("samples-panel").hidden = size === 0;
  if ($("samples-panel").open) await loadSamples();
  return true;
}

function showDrift(alerts) {
  const cameras = alerts.map((each) => `${each.camera_id} (mean ${each.recent_mean.toFixed(2)}, at first ${each.reference_mean.toFixed(2)})`);
  showText("drift", cameras.length ? `Best scores have drifted for queries from camera ${cameras.join(", ")}. Check the cameras before you rely on candidates.` : "");
}

// Sample queries: one per person where there are labels, alternating cameras.
async function loadSamples() {
  if ($("samples").children.length || $("samples-panel").hidden) return;
  const name = gallery();
  const { items } = await fetchJson(`/v1/items?limit=500&gallery=${name}`);
  if (name !== gallery()) return;
  const persons = Map.groupBy(items.filter((item) => item.image_url), (item) => item.person_id ?? `no label ${item.id}`);
  const distinct = [...persons.values()].map((images, place) => images[place % images.length]);
  const step = Math.max(1, distinct.length / SAMPLES);
  const chosen = Array.from({ length: Math.min(SAMPLES, distinct.length) }, (_, place) => distinct[Math.floor(place * step)]);
  $("samples").replaceChildren(...chosen.map((item) => {
    const button = make("button", { type: "button", ariaLabel: `Search with image ${item.id}, camera ${item.camera_id ?? "unknown"}` }, imageOf(item));
    button.dataset.item = keyOf(item);
    button.addEventListener("click", () => chooseItem(item));
    return make("li", {}, button);
  }));
}

async function changeGallery() {
  deselect();
  leaveGallery();
  clearAnswer();
  $("samples").replaceChildren();
  if (await loadGallery(new URLSearchParams())) search();
}

// Runs an action, and offers a retry if it fails.
function attempt(action) {
  showError(null);
  action().catch((error) => {
    if (!info) $("facts").textContent = "not connected";
    showError(error, () => attempt(action));
  });
}

for (const [id, additional] of [["file", false], ["additional", true]]) {
  on(id, "change", () => {
    if ($(id).files.length) chooseFiles([...$(id).files], { additional });
    $(id).value = "";
  });
}
// files do not change the query while a dialog is open
const inDialog = () => document.querySelector("dialog[open]") !== null;
onDrop((area, files) => inDialog() || (area.id === "upload" ? chooseUploads(files) : chooseFiles(files, { additional: area.id === "more" })));
document.addEventListener("paste", (event) => { if (event.clipboardData.files.length && !inDialog()) chooseFiles([...event.clipboardData.files]); });

on("form", "submit", (event) => { event.preventDefault(); search(); });
on("form", "change", ({ target }) => {
  if (target.id === "gallery") attempt(changeGallery);
  else if (target.name) search(DEBOUNCE_MS);
});
for (const id of ["clear", "none-clear"]) on(id, "click", () => { clearOptions(); search(); $("answer-title").focus(); });
on("samples-panel", "toggle", () => { if ($("samples-panel").open && info) attempt(loadSamples); });
document.addEventListener("added", () => attempt(async () => { await loadGallery(); search(); }));
document.addEventListener("erased", ({ detail: keys }) => {
  dropCards(keys);
  deselect(keys);
  forgetItems(keys);
  for (const key of keys) $("samples").querySelector(`[data-item="${key}"]`)?.parentElement.remove();
  attempt(() => loadGallery());
  search(DEBOUNCE_MS);
});
document.addEventListener("labelled", () => {
  $("samples").replaceChildren(); // with the old labels
  if ($("samples-panel").open) attempt(loadSamples);
});
attempt(start);
