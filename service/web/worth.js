// What a score is worth where the model is calibrated, in plain words.

import { $ } from "./dom.js";

export const oneIn = (share) => (share > 0.1 ? `${Math.round(100 * share)} in 100` : `1 in ${Math.round(1 / share).toLocaleString()}`);

// never 0 or 100 %: no score is certain
export const percent = (share) => (share > 0.99 ? "over 99 %" : share < 0.01 ? "under 1 %" : `${Math.round(100 * share)} %`);

export const probability = (match) => (match.probability === null ? null : `probability ${percent(match.probability)}`);

export function tellWorth(calibration) {
  $("probable-field").hidden = $("worth").hidden = !calibration;
  if (!calibration) return;
  $("probable").max = Math.floor(1000 * calibration.max_probability) / 1000;
  $("worth").textContent = `A probability is how often two images by two cameras with such a score showed one person in the data “${calibration.data.name}”, where ${oneIn(calibration.prior)} pairs did; it is shown where the cameras of both are known. Where it is more seldom than that, the probability is lower than shown. It is measured on likeness and proves no identity.`;
}

export function thresholdsOf(calibration) {
  const rows = (calibration?.thresholds[0].at ?? []).map((each) => `${oneIn(each.false_match_rate)} has ${each.score.toFixed(3)} or more`);
  return rows.length ? `Of pairs of different persons ${rows.join(", ")}.` : "";
}
