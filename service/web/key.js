// The API key of this tab, in sessionStorage and in requests only.

import { $, on, onSubmit, showText } from "./dom.js";

const STORAGE = "vitreid-key";
const REFUSED = {
  0: "The service does not respond.",
  401: "This key is not valid: it is wrong, revoked or expired.",
  429: "Too many wrong keys. Wait a few seconds.",
};
let pending = null; // promise of a valid key
let resolvePending = null;

export const key = () => sessionStorage.getItem(STORAGE);

// Asks for a key, and hides the results until there is one.
export function requestKey() {
  if (pending === null) {
    pending = new Promise((resolve) => { resolvePending = resolve; });
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    showText("key-error", key() && "The key is no longer valid.");
    showKeyPage(true);
    $("key").focus();
  }
  return pending;
}

function showKeyPage(visible) {
  $("key-page").hidden = !visible;
  $("main").hidden = $("skip").hidden = visible;
  $("forget-key").hidden = visible || key() === null;
  if (visible) $("facts").textContent = "";
}

async function tryKey() {
  const entered = $("key").value.trim();
  $("key").value = "";
  showText("key-error", "");
  const { status } = await fetch("v1/info", { headers: { authorization: `Bearer ${entered}` } }).catch(() => ({ status: 0 }));
  if (REFUSED[status]) {
    showText("key-error", REFUSED[status]);
    $("key").focus();
    return;
  }
  sessionStorage.setItem(STORAGE, entered);
  showKeyPage(false);
  $("query-title").focus();
  pending = null;
  resolvePending();
}

onSubmit("key-form", tryKey);
on("forget-key", "click", () => {
  sessionStorage.removeItem(STORAGE);
  location.reload(); // drops all results, too
});
$("forget-key").hidden = key() === null;
