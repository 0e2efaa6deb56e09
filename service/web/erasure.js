// Erasure of the selected images in one request, and its receipt.

import { fetchJson, jsonBody } from "./api.js";
import { $, count, describe, make, on, time } from "./dom.js";
import { keyOf, notify } from "./items.js";
import { selectionDialog } from "./selection.js";

const [FIRST_S, BACKOFF, MAX_S] = [2, 1.5, 30]; // polling of a receipt

let receipt = null; // the one on the page
let timer = 0;

async function erase(selected) {
  const [{ gallery }] = selected; // a selection is of one gallery
  const items = selected.map(({ id, image_hash }) => ({ id, image_hash }));
  const created = await fetchJson(`/v1/erasures?gallery=${gallery}`, jsonBody("POST", { items, reason: $("reason").value.trim() }));
  notify("erased", selected.map(keyOf));
  show(created);
  schedule(FIRST_S);
  return "receipt-title";
}

function show(created) {
  receipt = created;
  $("receipt").hidden = false;
  $("receipt-title").textContent = `${count(receipt.items, "image")} erased`;
  $("receipt-state").textContent = receipt.purged_at === null
    ? "No search finds them any more. Their traces in the files are purged next; this page checks from time to time."
    : "No search finds them, and no file of the gallery contains them.";
  describe($("receipt-facts"), [
    ["Receipt", receipt.id],
    ["Gallery", receipt.gallery],
    ["Reason", receipt.reason],
    ["Requested by", receipt.requested_by],
    ["Unsearchable since", time(receipt.unsearchable_at)],
    ["Purged from files", time(receipt.purged_at) ?? "not yet"],
    ["Remaining copies", receipt.remaining.map((each) => `${each.kind} ${each.place}`).join(", ") || "none"],
  ]);
}

function schedule(wait_s) {
  clearTimeout(timer);
  if (receipt?.purged_at === null) timer = setTimeout(poll, 1000 * wait_s, receipt, Math.min(MAX_S, wait_s * BACKOFF));
}

async function poll(polled, wait_s) {
  try {
    const latest = await fetchJson(`/v1/erasures/${polled.id}?gallery=${polled.gallery}`);
    if (receipt?.id !== polled.id) return;
    if (latest.purged_at !== null) show(latest);
  } catch (error) {
    if (!error.retryable) return;
  }
  schedule(wait_s);
}

function download() {
  const url = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 2)], { type: "application/json" }));
  make("a", { href: url, download: `erasure-${receipt.id}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

selectionDialog("erase", "Erase", {
  prepare: () => $("erase-form").reset(),
  action: erase,
  onForbidden: () => { $("erase-selected").hidden = true; }, // a limited key may still label
});
on("download", "click", download);
on("receipt-close", "click", () => {
  clearTimeout(timer);
  receipt = null;
  $("receipt").hidden = true;
  $("answer-title").focus();
});
