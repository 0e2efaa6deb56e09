// The patches of query and candidate that correspond, drawn by the service if the bundle can explain.

import { request } from "./api.js";
import { $, on, showText } from "./dom.js";
import { draw } from "./images.js";

let enabled = false;
let running = null; // AbortController of the current request

export function enableExplanations(explains) {
  enabled = explains;
  $("by-patches").hidden = $("by-patches").disabled = !enabled;
}

export function explainable(match, { blobs }) {
  return enabled && match.image_url !== null && blobs.length > 0;
}

// `query` is {blobs, item, params} as it was sent.
export async function openExplanation(match, place, query) {
  running?.abort();
  const controller = running = new AbortController();
  const first = query.item || query.blobs.length === 1 ? "" : ", first query image";
  $("explain-title").textContent = `Explanation of candidate ${place + 1}${first}`;
  $("explain-image").removeAttribute("src");
  showText("explain-error", "");
  $("explain").showModal();
  try {
    const response = await request(...explainRequest(match, query, controller.signal));
    const blob = await response.blob();
    if (running === controller) draw($("explain-image"), blob);
  } catch (error) {
    if (running === controller && error.name !== "AbortError") showText("explain-error", error.message);
  }
}

function explainRequest(match, { blobs, item, params: { camera_id } }, signal) {
  const params = new URLSearchParams({ gallery: match.gallery, format: "png" });
  for (const id of item ? [item.id, match.id] : [match.id]) params.append("item_id", id);
  if (!item && camera_id) params.append("camera_id", camera_id);
  const body = new FormData();
  body.append("image", blobs[0], "query");
  return [`/v1/explain?${params}`, { method: "POST", body: item ? undefined : body, signal }];
}

on("explain-close", "click", () => $("explain").close());
on("explain", "close", () => running?.abort());
