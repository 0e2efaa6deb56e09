// Requests to the service, with the key of this tab; what goes wrong is told in plain words.

import { key, needKey } from "./key.js";

const LATER = [0, 429, 503, 504]; // the same request may succeed later

export class Refused extends Error {
  constructor(text, status, wait_s = 0) {
    super(text);
    this.status = status;
    this.wait_s = wait_s;
    this.again = LATER.includes(status);
  }
}

// The answer to a request; where a key is needed it waits until there is one. Throws Refused, AbortError.
export async function ask(address, options = {}) {
  for (;;) {
    const used = key();
    const answer = await send(address, options, used);
    if (answer.ok) return answer;
    if (answer.status !== 401) throw await refused(answer);
    if (used === key()) await needKey();
  }
}

export async function askJson(address, options) {
  return (await ask(address, options)).json();
}

export function sending(method, body) {
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

async function send(address, options, used) {
  const headers = used === null ? options.headers : { ...options.headers, authorization: `Bearer ${used}` };
  try {
    return await fetch(address.replace(/^\//, ""), { ...options, headers }); // from this page on: a proxy may add a prefix
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service does not answer. Is it still running?", 0);
  }
}

async function refused(answer) {
  const wait_s = Number(answer.headers.get("retry-after")) || 0;
  let problem = { title: `The service answered ${answer.status}`, detail: "" };
  try { problem = await answer.json(); } catch { /* not from the service itself: the status has to do */ }
  return new Refused(words(answer.status, problem, wait_s), answer.status, wait_s);
}

function words(status, { title, detail }, wait_s) {
  const said = String(detail ?? "").replace(/\.$/, "");
  const later = `Try again in ${wait_s || 5} s.`;
  switch (status) {
    case 403: return `The key does not allow this: ${said}. Use another key, or ask whoever runs the service for one.`;
    case 429: return `Too many requests: ${said}. ${later}`;
    case 503: return `The service cannot answer just now: ${said}. ${later}`;
    case 504: return `It took too long: ${said}. ${later} Fewer images or candidates take less time.`;
    default: return said ? `${title}: ${said}.` : `${title}.`;
  }
}
