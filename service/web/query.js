// The query: images of one person or a stored item, and the search.

import { fetchJson } from "./api.js";
import { clearAnswer, drawAnswer } from "./cards.js";
import { openCompare } from "./compare.js";
import { $, make, showError } from "./dom.js";
import { explainable, openExplanation } from "./explain.js";
import { draw, fetchImage } from "./images.js";
import { keyOf } from "./items.js";
import { gallery, parameters, saveToUrl, setParameter } from "./parameters.js";
import { bindCheckbox } from "./selection.js";

const MAX_IMAGES = 8;
const NARROW = matchMedia("(max-width: 820px)");
const GROUP_FILTERS = { person: "person_id", track: "track_id", camera: "cameras" };

let query = null; // {blobs} or {blobs, item}; truncated: more images were chosen than are used
let running = null; // AbortController of the current search
let timer = 0;
let enabled = false; // after gallery and parameters are known
let choices = 0; // of a query; the image of an older one is dropped

export function enableSearch() {
  enabled = true;
  if (query) search();
}

export function chooseFiles(files, { additional = false } = {}) {
  const previous = additional && query && !query.item ? query.blobs : [];
  const blobs = [...previous, ...files];
  setQuery({ blobs: blobs.slice(0, MAX_IMAGES), truncated: blobs.length > MAX_IMAGES });
}

export async function chooseItem(item) {
  const choice = ++choices;
  try {
    const blobs = item.image_url ? [await fetchImage(item)] : [];
    if (choice === choices) setQuery({ item, blobs });
  } catch (error) {
    if (choice === choices) showError(error, () => chooseItem(item));
  }
}

// Clears the query if it is one of these erased items.
export function forgetItems(keys) {
  if (query?.item && keys.includes(keyOf(query.item))) clearQuery();
}

// Drops what belongs to the gallery before.
export function leaveGallery() {
  choices += 1;
  stop();
  if (query?.item) clearQuery();
}

function clearQuery() {
  stop();
  query = null;
  show();
}

function stop() {
  clearTimeout(timer);
  running?.abort();
  running = null;
  $("answer").classList.remove("busy");
}

// Searches after `wait_ms` without a further call. A search without a wait scrolls to the answer on a narrow screen.
export function search(wait_ms = 0) {
  clearTimeout(timer);
  timer = setTimeout(run, wait_ms, wait_ms === 0);
}

async function run(scroll) {
  if (!enabled) {
    $("summary").textContent = query ? "Waiting for the service…" : "";
    return;
  }
  saveToUrl();
  if (!query || !$("form").reportValidity()) return;
  running?.abort();
  const controller = running = new AbortController();
  const sent = { ...query, params: Object.fromEntries(parameters()) };
  $("answer").classList.add("busy");
  $("summary").textContent = "Searching…";
  showError(null);
  try {
    const answer = await send(controller.signal);
    if (running !== controller || answer.query.gallery !== gallery()) return;
    const focus = document.activeElement;
    drawAnswer(answer, actionsOf(answer, sent));
    if (!focus.isConnected || focus === document.body) $("answer-title").focus({ preventScroll: true });
    if (scroll && NARROW.matches) document.querySelector(".answer-head").scrollIntoView();
  } catch (error) {
    if (running !== controller) return;
    clearAnswer();
    showError(error, () => search());
  } finally {
    if (running === controller) $("answer").classList.remove("busy");
  }
}

function actionsOf(answer, sent) {
  return {
    searchWith: chooseItem,
    openGroup: (match) => openGroup(match, answer.query.group_by),
    compare: (match) => openCompare(answer.matches, match, sent.blobs, chooseItem),
    explain: (match, place) => (explainable(match, sent) ? () => openExplanation(match, place, sent) : null),
  };
}

function send(signal) {
  if (query.item) return fetchJson(`/v1/query/${query.item.id}?${parameters()}`, { method: "POST", signal });
  const body = new FormData();
  query.blobs.forEach((blob, place) => body.append("image", blob, blob.name ?? `image ${place + 1}`));
  return fetchJson(`/v1/query?${parameters()}`, { method: "POST", body, signal });
}

function openGroup(match, groupBy) {
  setParameter(GROUP_FILTERS[groupBy], match.group.label);
  setParameter("group_by", "");
  search();
}

function setQuery(chosen) {
  choices += 1;
  query = chosen.item || chosen.blobs.length ? chosen : null;
  show();
  search();
}

function show() {
  const { blobs = [], item = null } = query ?? {};
  $("images").replaceChildren(...blobs.map((blob, place) => entry(blob, place, blobs)));
  $("thumbs").replaceChildren(...blobs.map((blob) => draw(make("img", { alt: "" }), blob)));
  $("drop").classList.toggle("full", query !== null);
  $("choose").querySelector("b").textContent = query ? `Choose other images${query.truncated ? ` (the first ${MAX_IMAGES} are used)` : ""}` : "Drop, paste or choose images";
  $("more").hidden = !query || item !== null || blobs.length >= MAX_IMAGES;
  $("stored").hidden = item === null;
  if (item) bindCheckbox($("select-query"), item);
  // a stored item has its own camera, which must not stay for the next image
  if (item || $("camera").disabled) $("camera").value = item?.camera_id ?? "";
  $("camera").disabled = item !== null;
  $("go").disabled = query === null;
  if (!query) clearAnswer();
}

function entry(blob, place, blobs) {
  const node = make("li", {}, draw(make("img", { alt: `Query image ${place + 1}` }), blob));
  if (blobs.length > 1) {
    const remove = make("button", { type: "button", className: "remove", ariaLabel: `Remove image ${place + 1}` }, "×");
    remove.addEventListener("click", () => {
      setQuery({ blobs: blobs.filter((each) => each !== blob) });
      ($("images").querySelectorAll("button")[Math.max(0, place - 1)] ?? $("file")).focus();
    });
    node.append(remove);
  }
  return node;
}

document.addEventListener("labelled", ({ detail: items }) => {
  const labelled = items.find((item) => query?.item && keyOf(item) === keyOf(query.item));
  if (labelled) Object.assign(query.item, labelled);
});
