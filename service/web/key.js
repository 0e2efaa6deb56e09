// The API key of this tab: in sessionStorage and in requests, nowhere else.

import { $, on, onSubmit, tell } from "./dom.js";

const PLACE = "vitreid-key";
const REFUSED = {
  0: "The service does not answer.",
  401: "This key is not accepted: it is wrong, revoked or expired.",
  429: "Too many keys were tried. Wait a few seconds.",
};
let entered = null; // a promise of a key that is accepted
let enter = null;

export const key = () => sessionStorage.getItem(PLACE);

// Asks for a key. What was found is not shown to somebody without one.
export function needKey() {
  if (entered === null) {
    entered = new Promise((resolve) => { enter = resolve; });
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    tell("key-error", key() && "The key that was used is not accepted any more.");
    show(true);
    $("key").focus();
  }
  return entered;
}

function show(door) {
  $("door").hidden = !door;
  $("main").hidden = $("skip").hidden = door;
  $("forget").hidden = door || key() === null;
  if (door) $("facts").textContent = "";
}

async function tryKey() {
  const given = $("key").value.trim();
  $("key").value = "";
  tell("key-error", "");
  const { status } = await fetch("v1/info", { headers: { authorization: `Bearer ${given}` } }).catch(() => ({ status: 0 }));
  if (REFUSED[status]) {
    tell("key-error", REFUSED[status]);
    $("key").focus();
    return;
  }
  sessionStorage.setItem(PLACE, given);
  show(false);
  $("query-title").focus();
  entered = null;
  enter();
}

onSubmit("key-form", tryKey);
on("forget", "click", () => {
  sessionStorage.removeItem(PLACE);
  location.reload(); // with it goes everything that was found
});
$("forget").hidden = key() === null;
