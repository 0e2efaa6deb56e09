// Which parts of query and candidate the model compares: an image that the service draws, where its model can tell.

import { ask } from "./api.js";
import { $, on, tell } from "./dom.js";
import { draw } from "./images.js";

let able = false;
let asked = null; // AbortController of the request under way

export function offerWhy(explains) {
  able = explains;
  $("by-patches").hidden = $("by-patches").disabled = !able;
}

// whether it can be told; `match` is a candidate, `query` is {blobs, item, params} as it was searched with
export function explainable(match, { blobs }) {
  return able && match.image_url !== null && blobs.length > 0;
}

export async function openWhy(match, place, query) {
  asked?.abort();
  const mine = asked = new AbortController();
  const first = query.item || query.blobs.length === 1 ? "" : ", by the first of the images";
  $("why-title").textContent = `Why candidate ${place + 1}${first}`;
  $("why-image").removeAttribute("src");
  tell("why-error", "");
  $("why").showModal();
  try {
    const answer = await ask(...request(match, query, mine.signal));
    const blob = await answer.blob();
    if (asked === mine) draw($("why-image"), blob);
  } catch (error) {
    if (asked === mine && error.name !== "AbortError") tell("why-error", error.message);
  }
}

function request(match, { blobs, item, params: { camera_id } }, signal) {
  const params = new URLSearchParams({ gallery: match.gallery, format: "png" });
  for (const id of item ? [item.id, match.id] : [match.id]) params.append("item_id", id);
  if (!item && camera_id) params.append("camera_id", camera_id);
  const body = new FormData();
  body.append("image", blobs[0], "query");
  return [`/v1/explain?${params}`, { method: "POST", body: item ? undefined : body, signal }];
}

on("why-close", "click", () => $("why").close());
on("why", "close", () => asked?.abort());
