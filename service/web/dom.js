// Elements by id and new ones. Text goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);
export const on = (id, type, act) => $(id).addEventListener(type, act);

export function make(name, given = {}, ...children) {
  const node = Object.assign(document.createElement(name), given);
  node.append(...children);
  return node;
}

// a form whose button cannot be pressed again while `act` is under way
export function onSubmit(id, act) {
  on(id, "submit", async (event) => {
    event.preventDefault();
    const button = $(id).querySelector("button:not([type])");
    button.disabled = true;
    await act();
    button.disabled = false;
  });
}

export function count(number, one) {
  return `${number.toLocaleString()} ${one}${number === 1 ? "" : "s"}`;
}

export function time(text) {
  return text && new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

// a text that is not there while it is empty
export function tell(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

// pairs of a name and a value as the rows of a <dl>; a value that is not known has none
export function describe(list, facts) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined);
  list.replaceChildren(...known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { title: value }, value)]));
}

// What went wrong, with a way to try again where that may help.
export function showError(error, again = null) {
  if (error?.name === "AbortError") return;
  $("error-text").textContent = error?.message ?? "";
  $("error").hidden = !error;
  $("again").hidden = !(error?.again && again);
  $("again").onclick = again;
}

// Files that are dropped anywhere: `take` gets the area that they fell on, and them.
export function onDrop(take) {
  const mark = (area) => {
    for (const each of document.querySelectorAll(".over")) each.classList.remove("over");
    area?.classList.add("over");
  };
  document.addEventListener("dragover", (event) => { event.preventDefault(); mark(areaOf(event.target)); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(null); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(null);
    if (event.dataTransfer.files.length) take(areaOf(event.target), [...event.dataTransfer.files]);
  });
}

function areaOf(target) {
  return target.closest("#adding, #more") ?? $("drop");
}
