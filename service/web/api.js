// Requests to the service with the API key of this tab; problems become messages.

import { key, requestKey } from "./key.js";

const RETRYABLE = [0, 429, 503, 504];

export class RequestError extends Error {
  constructor(text, status, wait_s = 0) {
    super(text);
    this.status = status;
    this.wait_s = wait_s;
    this.retryable = RETRYABLE.includes(status);
  }
}

// Fetches a URL of the service; on 401 it waits until a key is entered. Throws RequestError or AbortError.
export async function request(url, options = {}) {
  for (;;) {
    const used = key();
    const response = await send(url, options, used);
    if (response.ok) return response;
    if (response.status !== 401) throw await errorOf(response);
    if (used === key()) await requestKey();
  }
}

export async function fetchJson(url, options) {
  return (await request(url, options)).json();
}

export function jsonBody(method, body) {
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

async function send(url, options, used) {
  const headers = used === null ? options.headers : { ...options.headers, authorization: `Bearer ${used}` };
  try {
    return await fetch(url.replace(/^\//, ""), { ...options, headers }); // relative to this page: a proxy may add a prefix
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("The service does not respond. Is it running?", 0);
  }
}

async function errorOf(response) {
  const wait_s = Number(response.headers.get("retry-after")) || 0;
  let problem = { title: `The service returned status ${response.status}`, detail: "" };
  try { problem = await response.json(); } catch { /* a proxy's answer, not a problem document */ }
  return new RequestError(messageOf(response.status, problem, wait_s), response.status, wait_s);
}

function messageOf(status, { title, detail }, wait_s) {
  const reason = String(detail ?? "").replace(/\.$/, "");
  const retry = `Try again in ${wait_s || 5} s.`;
  switch (status) {
    case 403: return `This key does not have permission: ${reason}. Use another key, or ask the operator of the service for one.`;
    case 429: return `Too many requests: ${reason}. ${retry}`;
    case 503: return `The service is unavailable: ${reason}. ${retry}`;
    case 504: return `The request took too long: ${reason}. ${retry} Fewer images or candidates take less time.`;
    default: return reason ? `${title}: ${reason}.` : `${title}.`;
  }
}
