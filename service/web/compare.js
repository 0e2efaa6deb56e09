// Side-by-side comparison of the query and a candidate.

import { probability } from "./calibration.js";
import { factsOf } from "./cards.js";
import { $, describe, make, on } from "./dom.js";
import { draw, fetchImage } from "./images.js";
import { keyOf } from "./items.js";
import { bindCheckbox } from "./selection.js";

let matches = [];
let place = 0;
let searchWith = null;

// Opens at `first`, one of `all` candidates.
export function openCompare(all, first, blobs, onSearch) {
  [matches, searchWith] = [all, onSearch];
  $("compare-query").replaceChildren(...blobs.map((blob, number) => draw(make("img", { alt: `Query image ${number + 1}` }), blob)));
  show(all.indexOf(first));
  $("compare").showModal();
}

async function show(index) {
  place = index;
  const match = matches[place];
  $("compare-title").textContent = `Candidate ${place + 1} of ${matches.length}`;
  $("compare-score").textContent = [`score ${match.score.toFixed(3)}`, probability(match)].filter(Boolean).join(", ");
  describe($("compare-facts"), [...factsOf(match), ["source", match.source]]);
  bindCheckbox($("compare-select"), match);
  $("previous").disabled = place === 0;
  $("next").disabled = place === matches.length - 1;
  $("compare-image").removeAttribute("src");
  if (!match.image_url) return;
  try {
    const blob = await fetchImage(match);
    if (matches[place] === match) draw($("compare-image"), blob);
  } catch {
    if (matches[place] === match) $("compare-image").classList.add("broken");
  }
}

function step(by) {
  if (matches[place + by]) show(place + by);
}

on("previous", "click", () => step(-1));
on("next", "click", () => step(1));
on("compare", "keydown", ({ key }) => { step({ ArrowLeft: -1, ArrowRight: 1 }[key] ?? matches.length); });
document.addEventListener("erased", ({ detail: keys }) => { if (matches.some((match) => keys.includes(keyOf(match)))) $("compare").close(); });
on("compare-close", "click", () => $("compare").close());
on("compare-search", "click", () => {
  $("compare").close();
  searchWith(matches[place]);
});
