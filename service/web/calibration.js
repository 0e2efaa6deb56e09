// Calibrated scores in words: probabilities and thresholds.

import { $ } from "./dom.js";

export const oneIn = (share) => (share > 0.1 ? `${Math.round(100 * share)} in 100` : `1 in ${Math.round(1 / share).toLocaleString()}`);

// never 0 or 100 %: no score is certain
export const percent = (share) => (share > 0.99 ? "over 99 %" : share < 0.01 ? "under 1 %" : `${Math.round(100 * share)} %`);

export const probability = (match) => (match.probability === null ? null : `probability ${percent(match.probability)}`);

export function showCalibration(calibration) {
  $("min-probability-field").hidden = $("calibration").hidden = !calibration;
  if (!calibration) return;
  $("min-probability").max = Math.floor(1000 * calibration.max_probability) / 1000;
  $("calibration").textContent = `A probability is the share of image pairs with this score that showed one person, in pairs from two cameras of the data set “${calibration.data.name}”, where ${oneIn(calibration.prior)} pairs did. It needs a known camera for both images. Where such pairs are rarer, the true probability is lower. It measures similarity and does not prove identity.`;
}

export function describeThresholds(calibration) {
  const rows = (calibration?.thresholds[0].at ?? []).map((each) => `${oneIn(each.false_match_rate)} scores ${each.score.toFixed(3)} or more`);
  return rows.length ? `Of pairs of different persons, ${rows.join(", ")}.` : "";
}
