// The search page: one picture in, candidates out. All text goes in as text, never as markup.

const $ = (id) => document.getElementById(id);
const SAMPLES = 12;

let picture = null; // Blob of the query picture
let itemId = null; // its id, where it comes from the gallery
let running = null; // AbortController of the query under way

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  let problem = {};
  try { problem = await answer.json(); } catch { /* not from the service itself: the status has to do */ }
  throw new Error(problem.title ? `${problem.title}: ${problem.detail}` : `The service answered ${answer.status}.`);
}

function choose(blob, id = null, camera = null) {
  picture = blob;
  itemId = id;
  URL.revokeObjectURL($("preview").src);
  $("preview").src = $("thumb").src = URL.createObjectURL(blob);
  for (const name of ["preview", "change"]) $(name).hidden = false;
  $("drop-text").hidden = true;
  $("drop").classList.add("full");
  $("go").disabled = false;
  if (camera !== null) $("camera").value = camera;
  search();
}

async function chooseItem(item) {
  showError("");
  try {
    choose(await (await ask(item.image_url)).blob(), item.id, item.camera_id ?? "");
  } catch (error) {
    if (error.name !== "AbortError") showError(error.message);
  }
}

async function search() {
  if (!picture || !$("form").reportValidity()) return;
  running?.abort();
  const mine = running = new AbortController();
  const k = Number($("k").value);
  // A picture of the gallery finds itself first; one more candidate makes up for it.
  const wanted = new URLSearchParams({ k: Math.min(itemId === null ? k : k + 1, 10000) });
  if ($("camera").value) wanted.set("camera_id", $("camera").value);
  document.querySelector(".answer").classList.add("busy");
  $("summary").textContent = "Searching…";
  showError("");
  try {
    const body = new FormData();
    body.append("image", picture, picture.name ?? `item ${itemId}`);
    const answer = await ask(`/v1/query?${wanted}`, { method: "POST", body, signal: mine.signal });
    draw(await answer.json(), k);
    if (matchMedia("(max-width: 820px)").matches) document.querySelector(".answer-head").scrollIntoView();
  } catch (error) {
    if (error.name === "AbortError") return;
    clear();
    showError(error.message);
  }
  if (running === mine) document.querySelector(".answer").classList.remove("busy");
}

function clear() {
  $("results").replaceChildren();
  $("summary").textContent = "";
  $("blank").hidden = !$("empty").hidden;
}

function draw(answer, k) {
  const matches = answer.matches.filter((match) => match.id !== itemId).slice(0, k);
  $("results").replaceChildren(...matches.map(card));
  $("blank").hidden = true;
  $("empty").hidden = answer.gallery_size > 0;
  $("summary").textContent = answer.gallery_size === 0 ? ""
    : `${matches.length} of ${answer.gallery_size.toLocaleString()} pictures, in ${Math.max(1, Math.round(answer.timings_ms.total))} ms`;
}

function card(match, place) {
  const node = $("card").content.firstElementChild.cloneNode(true);
  const person = match.person_id === null ? "no label" : match.person_id;
  const image = node.querySelector("img");
  const button = node.querySelector(".pic");
  button.setAttribute("aria-label", `Candidate ${place + 1}, score ${match.score.toFixed(3)}, labelled ${person}: search with this picture`);
  if (match.image_url) {
    image.src = match.image_url;
    button.addEventListener("click", () => chooseItem(match));
  } else {
    button.textContent = "picture not kept";
    button.disabled = true;
  }
  node.querySelector(".rank").textContent = `#${place + 1}`;
  node.querySelector(".score").textContent = match.score.toFixed(3);
  node.querySelector(".bar i").style.width = `${100 * Math.max(0, Math.min(1, match.score))}%`;
  const facts = [["camera", match.camera_id], ["person", match.person_id], ["time", time(match.captured_at)]];
  for (const [name, value] of facts) {
    if (value === null) continue;
    const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    detail.textContent = detail.title = value;
    node.querySelector("dl").append(term, detail);
  }
  node.querySelector(".from").textContent = node.querySelector(".from").title = match.source ?? "";
  return node;
}

function time(text) {
  return text === null ? null : new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

async function start() {
  const info = await (await ask("/v1/info")).json();
  $("facts").textContent = `${info.gallery.size.toLocaleString()} pictures · model ${info.bundle.name}`;
  $("starter").hidden = !info.bundle.starter;
  const names = [...new Set([...Object.keys(info.gallery.cameras), ...info.bundle.cameras])];
  for (const name of names.sort(new Intl.Collator(undefined, { numeric: true }).compare)) $("camera").add(new Option(name, name));
  $("empty").hidden = info.gallery.size > 0;
  $("blank").hidden = info.gallery.size === 0;
  if (info.gallery.size > 0) await samples();
}

async function samples() {
  const page = await (await ask("/v1/items?limit=500")).json();
  // One picture a person where there are labels, of one camera after the other, spread over the page.
  const persons = new Map();
  for (const item of page.items.filter((each) => each.image_url)) {
    const key = item.person_id ?? `no label ${item.id}`;
    persons.set(key, [...(persons.get(key) ?? []), item]);
  }
  const distinct = [...persons.values()].map((items, place) => items[place % items.length]);
  const step = Math.max(1, distinct.length / SAMPLES);
  const chosen = Array.from({ length: Math.min(SAMPLES, distinct.length) }, (_, place) => distinct[Math.floor(place * step)]);
  $("samples").replaceChildren(...chosen.map((item) => {
    const [entry, button, image] = ["li", "button", "img"].map((name) => document.createElement(name));
    button.type = "button";
    button.setAttribute("aria-label", `Search with picture ${item.id}, camera ${item.camera_id ?? "not known"}`);
    image.src = item.image_url;
    image.alt = "";
    button.append(image);
    button.addEventListener("click", () => chooseItem(item));
    entry.append(button);
    return entry;
  }));
  $("try").hidden = chosen.length === 0;
}

$("file").addEventListener("change", () => { if ($("file").files[0]) choose($("file").files[0]); $("file").value = ""; });
$("form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
$("camera").addEventListener("change", search);
$("k").addEventListener("change", search);
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => { if (event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]); });
document.addEventListener("paste", (event) => { if (event.clipboardData.files[0]) choose(event.clipboardData.files[0]); });
$("thumb").addEventListener("load", () => { $("thumb").hidden = false; });
$("preview").addEventListener("error", () => { $("preview").hidden = $("thumb").hidden = true; $("drop-text").hidden = false; });
start().catch((error) => { $("facts").textContent = "not connected"; showError(error.message); });
