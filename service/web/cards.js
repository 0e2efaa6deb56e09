// The answer to a query: candidates as cards, or the reason why there are none.

import { percent, probability } from "./calibration.js";
import { $, count, describe, make, showError, time } from "./dom.js";
import { imageOf } from "./images.js";
import { keyOf } from "./items.js";
import { bindCheckbox } from "./selection.js";

const REASONS = {
  "empty-gallery": () => "The gallery has no images to search.",
  "nothing-passed-the-filter": (answer) => `None of the ${count(answer.gallery_size, "image")} passes the filters.`,
  "below-min-score": ({ searched, best_score, query }) => `${count(searched, "image")} searched: the best score is ${best_score.toFixed(3)}, below the minimum of ${+query.min_score.toFixed(4)}${query.min_probability === null ? "" : ` (a probability of ${percent(query.min_probability)})`}. No match is a valid result.`,
};

export function factsOf(item) {
  return [["camera", item.camera_id], ["person", item.person_id], ["track", item.track_id], ["time", time(item.captured_at)]];
}

let current = null; // the answer on the page

// `actions` of a card: compare(match), searchWith(item), openGroup(item); explain(match, place) is a function or null.
export function drawAnswer(answer, actions) {
  const { matches, query } = answer;
  clearAnswer();
  current = answer;
  $("results").replaceChildren(...matches.map((match, place) => card(match, place, query.group_by, actions)));
  const empty = answer.no_match_reason === "empty-gallery";
  $("blank").hidden = true;
  $("empty").hidden = !empty;
  $("none").hidden = !answer.no_match || empty;
  $("none-reason").textContent = answer.no_match ? REASONS[answer.no_match_reason](answer) : "";
  $("none-clear").hidden = !Object.keys(query.filter).length && query.min_score === null;
  $("summary").textContent = empty ? "" : summary(answer);
}

export function clearAnswer() {
  current = null;
  showError(null);
  $("results").replaceChildren();
  $("summary").textContent = "";
  $("none").hidden = true;
  $("blank").hidden = !$("empty").hidden;
}

const cardOf = (match) => $("results").querySelector(`[data-item="${keyOf(match)}"]`).closest("li");

// Removes erased items from the page and from the answer that the comparison steps through.
export function dropCards(keys) {
  const erased = (match) => keys.includes(keyOf(match));
  for (const match of current?.matches.filter(erased) ?? []) cardOf(match).remove();
  if (current) current.matches = current.matches.filter((match) => !erased(match));
}

// Shows the new labels of items.
function relabel(items) {
  const labelled = new Map(items.map((item) => [keyOf(item), item]));
  for (const match of current?.matches ?? []) {
    if (!labelled.has(keyOf(match))) continue;
    Object.assign(match, labelled.get(keyOf(match)));
    const card = cardOf(match);
    describe(card.querySelector("dl"), factsOfMatch(match));
    card.querySelector("button.pic")?.setAttribute("aria-label", nameOf(match));
  }
}

function summary({ matches, query, searched, gallery_size, no_match, timings_ms }) {
  const result = no_match ? "no match among" : `${count(matches.length, query.group_by === "item" ? "candidate" : query.group_by)} from`;
  const total = searched === gallery_size ? "" : ` (of ${gallery_size.toLocaleString()})`;
  return `${result} ${searched.toLocaleString()} searched${total} · ${Math.max(1, Math.round(timings_ms.total))} ms`;
}

function card(match, place, groupBy, actions) {
  const facts = make("dl");
  describe(facts, factsOfMatch(match));
  const bar = make("i");
  bar.style.width = `${100 * Math.max(0, Math.min(1, match.score))}%`;
  const explain = actions.explain(match, place);
  return make("li", { className: "card" },
    image(match, actions),
    make("div", { className: "line" }, make("span", { className: "rank" }, `#${place + 1}`), make("span", { className: "score" }, match.score.toFixed(3))),
    make("div", { className: "bar", ariaHidden: "true" }, bar),
    make("p", { className: "probability", hidden: match.probability === null }, probability(match) ?? ""),
    facts,
    make("p", { className: "source", title: match.source ?? "" }, match.source ?? ""),
    ...group(match, groupBy, actions),
    confirmation(match, place),
    button("Search with this", `, candidate ${place + 1}`, () => actions.searchWith(match)),
    ...(explain ? [button("Explain", `, candidate ${place + 1}`, explain)] : []));
}

function factsOfMatch(match) {
  return [...factsOf(match), ["re-ranked", match.rerank_distance?.toFixed(3)]];
}

function nameOf({ rank, score, person_id }) {
  return `Compare candidate ${rank}, score ${score.toFixed(3)}, ${person_id === null ? "no label" : `labelled ${person_id}`}`;
}

function image(match, actions) {
  if (!match.image_url) return make("div", { className: "pic" }, "image not stored");
  const opener = make("button", { type: "button", className: "pic" }, imageOf(match), make("span", { className: "hint" }, "Compare"));
  opener.setAttribute("aria-label", nameOf(match));
  opener.addEventListener("click", () => actions.compare(match));
  return opener;
}

function group(match, groupBy, actions) {
  if (!match.group || match.group.items < 2 || match.group.label === null) return [];
  return [button(`Show all ${match.group.items.toLocaleString()}`, ` of ${groupBy} ${match.group.label}`, () => actions.openGroup(match))];
}

function confirmation(match, place) {
  const box = make("input", { type: "checkbox", className: "select" });
  bindCheckbox(box, match);
  return make("label", { className: "check" }, box, " Same person", make("span", { className: "hidden" }, `, candidate ${place + 1}, confirmed by me`));
}

// `context` is read by screen readers only: it distinguishes equal buttons.
function button(text, context, action) {
  const node = make("button", { type: "button", className: "small" }, text, make("span", { className: "hidden" }, context));
  node.addEventListener("click", action);
  return node;
}

document.addEventListener("labelled", ({ detail: items }) => relabel(items));
