// The images that a human confirmed to show the same person. The selection survives further searches.

import { $, count, make, on, onSubmit, showText } from "./dom.js";
import { imageOf } from "./images.js";
import { keyOf } from "./items.js";

const items = new Map(); // by key, all of one gallery
let writable = true; // until the service says that the key may only read

export const selected = () => [...items.values()];

export function bindCheckbox(box, item) {
  box.onchange = () => {
    if (box.checked) items.set(keyOf(item), item);
    else items.delete(keyOf(item));
    show();
  };
  box.dataset.item = keyOf(item);
  box.checked = items.has(keyOf(item));
}

export function deselect(keys = [...items.keys()]) {
  for (const key of keys) items.delete(key);
  show();
}

export function makeReadOnly() {
  writable = false;
  deselect();
  document.body.classList.add("read-only");
}

// A dialog about the selected images, opened by the button #NAME-selected. `action` gets the images that the dialog
// shows and returns the id of the element to focus; if it fails, the dialog stays open with the error. `onForbidden`
// hides what the key may not do.
export function selectionDialog(name, verb, { prepare, action, onForbidden }) {
  const part = (id) => $(`${name}-${id}`);
  let shown = [];
  const draw = (problem = "") => {
    shown = selected();
    part("go").textContent = part("title").textContent = `${verb} ${count(shown.length, "image")}`;
    part("images").replaceChildren(...shown.map((item) => make("li", {}, item.image_url ? imageOf(item, `Image ${item.id}`) : `image ${item.id}`)));
    showText(`${name}-error`, problem);
  };
  on(`${name}-selected`, "click", () => {
    draw();
    prepare();
    $(name).showModal();
  });
  on(`${name}-close`, "click", () => $(name).close());
  onSubmit(`${name}-form`, async () => {
    try {
      const focus = await action(shown);
      $(name).close();
      $(focus).focus();
    } catch (error) {
      draw(error.message);
      if (error.status === 403) onForbidden();
    }
  });
}

function show() {
  $("selection").hidden = items.size === 0 || !writable;
  $("selection-count").textContent = items.size ? `${count(items.size, "image")} confirmed by you as the same person` : "";
  for (const box of document.querySelectorAll("input.select")) box.checked = items.has(box.dataset.item);
}

on("deselect", "click", () => {
  deselect();
  $("answer-title").focus();
});
