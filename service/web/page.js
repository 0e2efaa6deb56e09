// The page that an operator works with: what is there to choose from, and what the controls do.

import { allowAtOnce, chooseToAdd } from "./adding.js";
import { askJson } from "./api.js";
import { clearAnswer, dropCards } from "./cards.js";
import { asked, clear, gallery, offerCameras, restore } from "./conditions.js";
import { $, count, make, on, onDrop, showError, tell } from "./dom.js";
import "./erasure.js";
import { keyOf } from "./items.js";
import "./labels.js";
import { unmark } from "./marks.js";
import { imageOf } from "./images.js";
import { begin, chooseFiles, chooseItem, forgetItem, leaveGallery, search } from "./query.js";
import { tellWorth, thresholdsOf } from "./worth.js";
import { offerWhy } from "./why.js";

const SAMPLES = 12;
const QUIET_MS = 250; // after a change of a condition

const given = new URLSearchParams(location.search); // what the page was opened with, whatever the address says later

let info = null;
let galleries = [];
let looks = 0; // at what is there to choose from; an answer to an older one is dropped

async function start() {
  [info, { galleries }] = [await askJson("/v1/info"), await askJson("/v1/galleries")];
  $("starter").hidden = !info.bundle.starter;
  allowAtOnce(info.limits.images);
  offerWhy(info.bundle.explains);
  tellDrift(info.drift);
  $("gallery").replaceChildren(...galleries.map(({ name, state }) => Object.assign(new Option(name, name), { disabled: state !== "open" })));
  $("gallery-field").hidden = galleries.length < 2;
  const named = given.get("gallery") ?? "default";
  const find = (wanted) => galleries.find(({ name }) => name === wanted);
  const wanted = find(named) ?? find("default") ?? galleries[0];
  if (!wanted) throw new Error("This key is for no gallery that is there.");
  if (given.has("gallery") && wanted.name !== named) showError(new Error(`There is no gallery ${named} for you; this is ${wanted.name}.`));
  $("gallery").value = wanted.name;
  await lookAround(given);
  $("try").open = info.bundle.starter; // drawn people; images of others are shown to those who ask
  begin();
}

// What can be chosen in the gallery, and how much there is; the form gets the conditions of `wanted`, or keeps its own.
// False where it was overtaken.
async function lookAround(wanted = null) {
  const mine = ++looks;
  const { cameras } = await askJson(`/v1/galleries/${gallery()}/cameras`);
  if (mine !== looks) return false;
  const conditions = wanted ?? asked();
  const { index, settings } = galleries.find(({ name }) => name === gallery());
  const size = cameras.reduce((sum, camera) => sum + camera.items, 0);
  offerCameras(cameras, conditions);
  restore(conditions);
  $("facts").textContent = [count(size, "image"), index && `index ${index}`, `model ${info.bundle.name}`].filter(Boolean).join(" · ");
  const calibration = info.bundle.calibration?.data.domain === (settings?.domain ?? null) ? info.bundle.calibration : null;
  tellWorth(calibration);
  const own = settings?.min_score == null ? "" : `This gallery's own least score is ${settings.min_score}.`;
  $("least-help").textContent = [own, thresholdsOf(calibration)].filter(Boolean).join(" ");
  $("empty").hidden = size > 0;
  $("blank").hidden = size === 0 || !$("none").hidden || $("results").children.length > 0;
  $("try").hidden = size === 0;
  if ($("try").open) await offerSamples();
  return true;
}

function tellDrift(alarms) {
  const cameras = alarms.map((each) => `${each.camera_id} (${each.recent_mean.toFixed(2)} on average, ${each.reference_mean.toFixed(2)} at first)`);
  tell("drift", cameras.length ? `Best scores have drifted for queries from camera ${cameras.join(", ")}. Look at the cameras before you rely on candidates.` : "");
}

// Images to begin with: one a person where there are labels, of one camera after the other, spread over the page.
async function offerSamples() {
  if ($("samples").children.length || $("try").hidden) return;
  const name = gallery();
  const { items } = await askJson(`/v1/items?limit=500&gallery=${name}`);
  if (name !== gallery()) return;
  const persons = Map.groupBy(items.filter((item) => item.image_url), (item) => item.person_id ?? `no label ${item.id}`);
  const distinct = [...persons.values()].map((own, place) => own[place % own.length]);
  const step = Math.max(1, distinct.length / SAMPLES);
  const chosen = Array.from({ length: Math.min(SAMPLES, distinct.length) }, (_, place) => distinct[Math.floor(place * step)]);
  $("samples").replaceChildren(...chosen.map((item) => {
    const button = make("button", { type: "button", ariaLabel: `Search with image ${item.id}, camera ${item.camera_id ?? "not known"}` }, imageOf(item));
    button.dataset.item = keyOf(item);
    button.addEventListener("click", () => chooseItem(item));
    return make("li", {}, button);
  }));
}

async function changeGallery() {
  unmark();
  leaveGallery();
  clearAnswer();
  $("samples").replaceChildren();
  if (await lookAround(new URLSearchParams())) search();
}

// an action that may fail, and be tried again
function attempt(action) {
  showError(null);
  action().catch((error) => {
    if (!info) $("facts").textContent = "not connected";
    showError(error, () => attempt(action));
  });
}

for (const [id, further] of [["file", false], ["further", true]]) {
  on(id, "change", () => {
    if ($(id).files.length) chooseFiles([...$(id).files], { further });
    $(id).value = "";
  });
}
// what is compared, labelled or erased stays as it is while its dialog is open
const inDialog = () => document.querySelector("dialog[open]") !== null;
onDrop((area, files) => inDialog() || (area.id === "adding" ? chooseToAdd(files) : chooseFiles(files, { further: area.id === "more" })));
document.addEventListener("paste", (event) => { if (event.clipboardData.files.length && !inDialog()) chooseFiles([...event.clipboardData.files]); });

on("form", "submit", (event) => { event.preventDefault(); search(); });
on("form", "change", ({ target }) => {
  if (target.id === "gallery") attempt(changeGallery);
  else if (target.name) search(QUIET_MS);
});
for (const id of ["clear", "none-clear"]) on(id, "click", () => { clear(); search(); $("answer-title").focus(); });
on("try", "toggle", () => { if ($("try").open && info) attempt(offerSamples); });
document.addEventListener("added", () => attempt(async () => { await lookAround(); search(); }));
document.addEventListener("erased", ({ detail: keys }) => {
  dropCards(keys);
  unmark(keys);
  forgetItem(keys);
  for (const key of keys) $("samples").querySelector(`[data-item="${key}"]`)?.parentElement.remove();
  attempt(() => lookAround());
  search(QUIET_MS);
});
document.addEventListener("labelled", () => {
  $("samples").replaceChildren(); // their labels are old
  if ($("try").open) attempt(offerSamples);
});
attempt(start);
