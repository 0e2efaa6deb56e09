// The query: images of one person or a stored item, and the search with it.

import { askJson } from "./api.js";
import { clearAnswer, drawAnswer } from "./cards.js";
import { openCompare } from "./compare.js";
import { asked, change, gallery, keep } from "./conditions.js";
import { $, make, showError } from "./dom.js";
import { keyOf } from "./items.js";
import { markable } from "./marks.js";
import { draw, fetchImage } from "./images.js";
import { explainable, openWhy } from "./why.js";

const MOST = 8;
const NARROW = matchMedia("(max-width: 820px)");
const PLACES = { person: "person_id", track: "track_id", camera: "cameras" }; // which condition asks for a group

let query = null; // {blobs} or {blobs, item}; cut: more were chosen than are used
let running = null; // AbortController of the search under way
let due = 0;
let begun = false; // whether the page knows its gallery and conditions: nothing is asked before
let choice = 0; // counts what was chosen to search with; what arrives for an older choice is dropped

// From now on it is known what to ask.
export function begin() {
  begun = true;
  if (query) search();
}

export function chooseFiles(files, { further = false } = {}) {
  const kept = further && query && !query.item ? query.blobs : [];
  const blobs = [...kept, ...files];
  set({ blobs: blobs.slice(0, MOST), cut: blobs.length > MOST });
}

export async function chooseItem(item) {
  const mine = ++choice;
  try {
    const blobs = item.image_url ? [await fetchImage(item)] : [];
    if (mine === choice) set({ item, blobs });
  } catch (error) {
    if (mine === choice) showError(error, () => chooseItem(item));
  }
}

// A stored item is no query any more where it is one of these, which were erased.
export function forgetItem(keys) {
  if (query?.item && keys.includes(keyOf(query.item))) forgetQuery();
}

// Another gallery was chosen: what is under way is of the one before.
export function leaveGallery() {
  choice += 1;
  stop();
  if (query?.item) forgetQuery();
}

function forgetQuery() {
  stop();
  query = null;
  show();
}

function stop() {
  clearTimeout(due);
  running?.abort();
  running = null;
  $("answer").classList.remove("busy");
}

// Searches once things have been quiet for `wait_ms`. Who waits is still busy with the form, and is left there.
export function search(wait_ms = 0) {
  clearTimeout(due);
  due = setTimeout(run, wait_ms, wait_ms === 0);
}

async function run(leads) {
  if (!begun) $("summary").textContent = query ? "Waiting for the service…" : "";
  if (!begun) return;
  keep();
  if (!query || !$("form").reportValidity()) return;
  running?.abort();
  const mine = running = new AbortController();
  const used = { ...query, params: Object.fromEntries(asked()) };
  $("answer").classList.add("busy");
  $("summary").textContent = "Searching…";
  showError(null);
  try {
    const answer = await request(mine.signal);
    if (running !== mine || answer.query.gallery !== gallery()) return;
    const focus = document.activeElement;
    drawAnswer(answer, {
      searchWith: chooseItem,
      openGroup: (match) => openGroup(match, answer.query.group_by),
      compare: (match) => openCompare(answer.matches, match, used.blobs, chooseItem),
      why: (match, place) => (explainable(match, used) ? [() => openWhy(match, place, used)] : []),
    });
    if (!focus.isConnected || focus === document.body) $("answer-title").focus({ preventScroll: true });
    if (leads && NARROW.matches) document.querySelector(".answer-head").scrollIntoView();
  } catch (error) {
    if (running !== mine) return;
    clearAnswer();
    showError(error, () => search());
  } finally {
    if (running === mine) $("answer").classList.remove("busy");
  }
}

function request(signal) {
  if (query.item) return askJson(`/v1/query/${query.item.id}?${asked()}`, { method: "POST", signal });
  const body = new FormData();
  query.blobs.forEach((blob, place) => body.append("image", blob, blob.name ?? `image ${place + 1}`));
  return askJson(`/v1/query?${asked()}`, { method: "POST", body, signal });
}

function openGroup(match, by) {
  change(PLACES[by], match.group.label);
  change("group_by", "");
  search();
}

function set(chosen) {
  choice += 1;
  query = chosen.item || chosen.blobs.length ? chosen : null;
  show();
  search();
}

function show() {
  const { blobs = [], item = null } = query ?? {};
  $("images").replaceChildren(...blobs.map((blob, place) => shown(blob, place, blobs)));
  $("thumbs").replaceChildren(...blobs.map((blob) => draw(make("img", { alt: "" }), blob)));
  $("drop").classList.toggle("full", query !== null);
  $("choose").querySelector("b").textContent = query ? `Choose others${query.cut ? ` (the first ${MOST} are used)` : ""}` : "Drop, paste or choose images";
  $("more").hidden = !query || item !== null || blobs.length >= MOST;
  $("stored").hidden = item === null;
  if (item) markable($("mark-query"), item);
  // a stored item's camera is its own, and not that of the next image
  if (item || $("camera").disabled) $("camera").value = item?.camera_id ?? "";
  $("camera").disabled = item !== null;
  $("go").disabled = query === null;
  if (!query) clearAnswer();
}

function shown(blob, place, blobs) {
  const entry = make("li", {}, draw(make("img", { alt: `Query image ${place + 1}` }), blob));
  if (blobs.length > 1) {
    const remove = make("button", { type: "button", className: "remove", ariaLabel: `Remove image ${place + 1}` }, "×");
    remove.addEventListener("click", () => {
      set({ blobs: blobs.filter((each) => each !== blob) });
      ($("images").querySelectorAll("button")[Math.max(0, place - 1)] ?? $("file")).focus();
    });
    entry.append(remove);
  }
  return entry;
}

document.addEventListener("labelled", ({ detail: items }) => {
  const now = items.find((item) => query?.item && keyOf(item) === keyOf(query.item));
  if (now) Object.assign(query.item, now);
});
