// Images that a human confirmed to show the same person. They stay marked from search to search.

import { $, count, make, on, onSubmit, tell } from "./dom.js";
import { keyOf } from "./items.js";
import { imageOf } from "./images.js";

const items = new Map(); // items by their keys, all of one gallery
let allowed = true; // whether the key may write, as far as is known

export const marked = () => [...items.values()];

// binds a checkbox to an item
export function markable(box, item) {
  box.onchange = () => {
    if (box.checked) items.set(keyOf(item), item);
    else items.delete(keyOf(item));
    show();
  };
  box.dataset.item = keyOf(item);
  box.checked = items.has(keyOf(item));
}

export function unmark(keys = [...items.keys()]) {
  for (const key of keys) items.delete(key);
  show();
}

// the key may only read
export function forbid() {
  allowed = false;
  unmark();
  document.body.classList.add("reads-only");
}

// A dialog about the marked images, opened by the button #NAME-marked. `act` does what was confirmed to those
// that the dialog shows and tells where the focus goes then; where it fails the dialog stays and says why. `denied` hides what the key may not do.
export function markedDialog(name, verb, { prepare, act, denied }) {
  const part = (id) => $(`${name}-${id}`);
  let shown = [];
  const draw = (problem = "") => {
    shown = marked();
    part("go").textContent = part("title").textContent = `${verb} ${count(shown.length, "image")}`;
    part("images").replaceChildren(...shown.map((item) => make("li", {}, item.image_url ? imageOf(item, `Image ${item.id}`) : `image ${item.id}`)));
    tell(`${name}-error`, problem);
  };
  on(`${name}-marked`, "click", () => {
    draw();
    prepare();
    $(name).showModal();
  });
  on(`${name}-close`, "click", () => $(name).close());
  onSubmit(`${name}-form`, async () => {
    try {
      const next = await act(shown);
      $(name).close();
      $(next).focus();
    } catch (error) {
      draw(error.message);
      if (error.status === 403) denied();
    }
  });
}

function show() {
  $("marks").hidden = items.size === 0 || !allowed;
  $("marks-count").textContent = items.size ? `${count(items.size, "image")} marked as the same person, confirmed by you` : "";
  for (const box of document.querySelectorAll("input.mark")) box.checked = items.has(box.dataset.item);
}

on("unmark", "click", () => {
  unmark();
  $("answer-title").focus();
});
