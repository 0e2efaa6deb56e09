// Marked images are erased in one request; the receipt says when they were gone, and from where.

import { askJson, sending } from "./api.js";
import { $, count, describe, make, on, time } from "./dom.js";
import { announce, keyOf } from "./items.js";
import { markedDialog } from "./marks.js";

const [FIRST_S, SLOWER, LONGEST_S] = [2, 1.5, 30]; // between two looks at a receipt

let receipt = null; // the one that is shown
let look = 0;

async function erase(marked) {
  const [{ gallery }] = marked; // of one gallery: marks go when another is chosen
  const items = marked.map(({ id, image_hash }) => ({ id, image_hash }));
  const given = await askJson(`/v1/erasures?gallery=${gallery}`, sending("POST", { items, reason: $("reason").value.trim() }));
  announce("erased", marked.map(keyOf));
  show(given);
  lookAgain(FIRST_S);
  return "receipt-title";
}

function show(given) {
  receipt = given;
  $("receipt").hidden = false;
  $("receipt-title").textContent = `${count(receipt.items, "image")} erased`;
  $("receipt-state").textContent = receipt.purged_at === null
    ? "They are in no answer any more. The files are purged next; this page looks from time to time."
    : "They are in no answer and in no file of the gallery any more.";
  describe($("receipt-facts"), [
    ["Receipt", receipt.id],
    ["Gallery", receipt.gallery],
    ["Reason", receipt.reason],
    ["Asked for by", receipt.requested_by],
    ["In no answer since", time(receipt.unsearchable_at)],
    ["In no file since", time(receipt.purged_at) ?? "not yet"],
    ["Still held by", receipt.remaining.map((each) => `${each.kind} ${each.place}`).join(", ") || "nothing"],
  ]);
}

function lookAgain(wait_s) {
  clearTimeout(look);
  if (receipt?.purged_at === null) look = setTimeout(poll, 1000 * wait_s, receipt, Math.min(LONGEST_S, wait_s * SLOWER));
}

async function poll(asked, wait_s) {
  try {
    const found = await askJson(`/v1/erasures/${asked.id}?gallery=${asked.gallery}`);
    if (receipt?.id !== asked.id) return;
    if (found.purged_at !== null) show(found);
  } catch (error) {
    if (!error.again) return;
  }
  lookAgain(wait_s);
}

function download() {
  const address = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 2)], { type: "application/json" }));
  make("a", { href: address, download: `erasure-${receipt.id}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

markedDialog("erase", "Erase", {
  prepare: () => $("erase-form").reset(),
  act: erase,
  denied: () => { $("erase-marked").hidden = true; }, // a key with limits may still label
});
on("download", "click", download);
on("receipt-close", "click", () => {
  clearTimeout(look);
  receipt = null;
  $("receipt").hidden = true;
  $("answer-title").focus();
});
