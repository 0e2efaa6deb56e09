// DOM helpers. Text is set as text, never as markup.

export const $ = (id) => document.getElementById(id);
export const on = (id, type, listener) => $(id).addEventListener(type, listener);

export function make(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

// Runs `action` on submit; its button is disabled while the action runs.
export function onSubmit(id, action) {
  on(id, "submit", async (event) => {
    event.preventDefault();
    const button = $(id).querySelector("button:not([type])");
    button.disabled = true;
    await action();
    button.disabled = false;
  });
}

export function count(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

export function time(text) {
  return text && new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

// Sets a text; an empty one hides its element.
export function showText(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

// Fills a <dl> with pairs of name and value; pairs without a value are left out.
export function describe(list, pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined);
  list.replaceChildren(...known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { title: value }, value)]));
}

// Shows an error, with a retry button where a retry may succeed; null hides it.
export function showError(error, retry = null) {
  if (error?.name === "AbortError") return;
  $("error-text").textContent = error?.message ?? "";
  $("error").hidden = !error;
  $("retry").hidden = !(error?.retryable && retry);
  $("retry").onclick = retry;
}

// Files dropped anywhere on the page: calls `onFiles(area, files)`.
export function onDrop(onFiles) {
  const highlight = (area) => {
    for (const node of document.querySelectorAll(".over")) node.classList.remove("over");
    area?.classList.add("over");
  };
  document.addEventListener("dragover", (event) => { event.preventDefault(); highlight(areaOf(event.target)); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) highlight(null); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    highlight(null);
    if (event.dataTransfer.files.length) onFiles(areaOf(event.target), [...event.dataTransfer.files]);
  });
}

function areaOf(target) {
  return target.closest("#upload, #more") ?? $("drop");
}
