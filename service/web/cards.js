// Candidates: what was found, or why nothing was.

import { $, count, describe, make, showError, time } from "./dom.js";
import { keyOf } from "./items.js";
import { markable } from "./marks.js";
import { imageOf } from "./images.js";
import { percent, probability } from "./worth.js";

const REASONS = {
  "empty-gallery": () => "There is no image to search in.",
  "nothing-passed-the-filter": (answer) => `None of the ${count(answer.gallery_size, "image")} fulfils the conditions.`,
  "below-min-score": ({ searched, best_score, query }) => `${count(searched, "image")} searched: the most alike has ${best_score.toFixed(3)}, the least score is ${+query.min_score.toFixed(4)}${query.min_probability === null ? "" : `, as a probability of ${percent(query.min_probability)} was asked for`}. Nobody found is a result, too.`,
};

export function factsOf(item) {
  return [["camera", item.camera_id], ["person", item.person_id], ["track", item.track_id], ["time", time(item.captured_at)]];
}

let drawn = null; // the answer that is shown

// `act` holds what the buttons of a card do: compare(match), searchWith(item), openGroup(item); why(match, place) gives
// what tells why it was found, or nothing
export function drawAnswer(answer, act) {
  const { matches, query } = answer;
  clearAnswer();
  drawn = answer;
  $("results").replaceChildren(...matches.map((match, place) => card(match, place, query.group_by, act)));
  const empty = answer.no_match_reason === "empty-gallery";
  $("blank").hidden = true;
  $("empty").hidden = !empty;
  $("none").hidden = !answer.no_match || empty;
  $("none-reason").textContent = answer.no_match ? REASONS[answer.no_match_reason](answer) : "";
  $("none-clear").hidden = !Object.keys(query.filter).length && query.min_score === null;
  $("summary").textContent = empty ? "" : summary(answer);
}

export function clearAnswer() {
  drawn = null;
  showError(null);
  $("results").replaceChildren();
  $("summary").textContent = "";
  $("none").hidden = true;
  $("blank").hidden = !$("empty").hidden;
}

const cardOf = (match) => $("results").querySelector(`[data-item="${keyOf(match)}"]`).closest("li");

// What was erased is no candidate any more, for nobody who holds the answer.
export function dropCards(keys) {
  const gone = (match) => keys.includes(keyOf(match));
  for (const match of drawn?.matches.filter(gone) ?? []) cardOf(match).remove();
  if (drawn) drawn.matches = drawn.matches.filter((match) => !gone(match));
}

// Candidates get the labels that their items have now.
function relabel(items) {
  const now = new Map(items.map((item) => [keyOf(item), item]));
  for (const match of drawn?.matches ?? []) {
    if (!now.has(keyOf(match))) continue;
    Object.assign(match, now.get(keyOf(match)));
    const card = cardOf(match);
    describe(card.querySelector("dl"), factsOfMatch(match));
    card.querySelector("button.pic")?.setAttribute("aria-label", nameOf(match));
  }
}

function summary({ matches, query, searched, gallery_size, no_match, timings_ms }) {
  const found = no_match ? "no match among" : `${count(matches.length, query.group_by === "item" ? "candidate" : query.group_by)} from`;
  const rest = searched === gallery_size ? "" : ` (of ${gallery_size.toLocaleString()})`;
  return `${found} ${searched.toLocaleString()} searched${rest} · ${Math.max(1, Math.round(timings_ms.total))} ms`;
}

function card(match, place, groupBy, act) {
  const facts = make("dl");
  describe(facts, factsOfMatch(match));
  const bar = make("i");
  bar.style.width = `${100 * Math.max(0, Math.min(1, match.score))}%`;
  return make("li", { className: "card" },
    image(match, act),
    make("div", { className: "line" }, make("span", { className: "rank" }, `#${place + 1}`), make("span", { className: "score" }, match.score.toFixed(3))),
    make("div", { className: "bar", ariaHidden: "true" }, bar),
    make("p", { className: "likely", hidden: match.probability === null }, probability(match) ?? ""),
    facts,
    make("p", { className: "from", title: match.source ?? "" }, match.source ?? ""),
    ...group(match, groupBy, act),
    confirmation(match, place),
    button("Search with this", `, candidate ${place + 1}`, () => act.searchWith(match)),
    ...act.why(match, place).map((open) => button("Why", `, candidate ${place + 1}`, open)));
}

function factsOfMatch(match) {
  return [...factsOf(match), ["re-ranked", match.rerank_distance?.toFixed(3)]];
}

function nameOf({ rank, score, person_id }) {
  return `Compare candidate ${rank}, score ${score.toFixed(3)}, ${person_id === null ? "no label" : `labelled ${person_id}`}`;
}

function image(match, act) {
  if (!match.image_url) return make("div", { className: "pic" }, "image not kept");
  const shown = make("button", { type: "button", className: "pic" }, imageOf(match), make("span", { className: "hint" }, "Compare"));
  shown.setAttribute("aria-label", nameOf(match));
  shown.addEventListener("click", () => act.compare(match));
  return shown;
}

function group(match, groupBy, act) {
  if (!match.group || match.group.items < 2 || match.group.label === null) return [];
  return [button(`Show all ${match.group.items.toLocaleString()}`, ` of ${groupBy} ${match.group.label}`, () => act.openGroup(match))];
}

function confirmation(match, place) {
  const box = make("input", { type: "checkbox", className: "mark" });
  markable(box, match);
  return make("label", { className: "check" }, box, " Same person", make("span", { className: "hidden" }, `, candidate ${place + 1}, confirmed by me`));
}

// what only a screen reader needs to tell equal buttons apart follows the words that are seen
function button(text, rest, act) {
  const node = make("button", { type: "button", className: "small" }, text, make("span", { className: "hidden" }, rest));
  node.addEventListener("click", act);
  return node;
}

document.addEventListener("labelled", ({ detail: items }) => relabel(items));
