// Query and candidate side by side, for the human who decides.

import { factsOf } from "./cards.js";
import { $, describe, make, on } from "./dom.js";
import { keyOf } from "./items.js";
import { markable } from "./marks.js";
import { draw, fetchImage } from "./images.js";
import { probability } from "./worth.js";

let matches = [];
let place = 0;
let searchWith = null;

// `first` is one of `all` candidates, `act` what searches with one
export function openCompare(all, first, blobs, act) {
  [matches, searchWith] = [all, act];
  $("compare-query").replaceChildren(...blobs.map((blob, at) => draw(make("img", { alt: `Query image ${at + 1}` }), blob)));
  show(all.indexOf(first));
  $("compare").showModal();
}

async function show(wanted) {
  place = wanted;
  const match = matches[place];
  $("compare-title").textContent = `Candidate ${place + 1} of ${matches.length}`;
  $("compare-score").textContent = [`score ${match.score.toFixed(3)}`, probability(match)].filter(Boolean).join(", ");
  describe($("compare-facts"), [...factsOf(match), ["source", match.source]]);
  markable($("compare-mark"), match);
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
