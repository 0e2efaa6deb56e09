// Images of items. An <img> cannot send a key: images are fetched when they come into view, and shown as blobs.

import { request } from "./api.js";
import { make } from "./dom.js";

const urls = new WeakMap();
const inView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) load(target);
}, { rootMargin: "300px" });

// An <img> of an item.
export function imageOf(item, alt = "") {
  const image = make("img", { alt });
  if (item.image_url) {
    urls.set(image, item.image_url);
    inView.observe(image);
  }
  return image;
}

// Shows a blob, and revokes its URL as soon as it is drawn, so that nothing keeps the image.
export function draw(image, blob) {
  const url = URL.createObjectURL(blob);
  image.onload = image.onerror = (event) => {
    URL.revokeObjectURL(url);
    image.classList.toggle("broken", event.type === "error");
  };
  image.src = url;
  return image;
}

export async function fetchImage(item) {
  return (await request(item.image_url)).blob();
}

async function load(image) {
  inView.unobserve(image);
  try {
    draw(image, await (await request(urls.get(image))).blob());
  } catch (error) {
    if (error.retryable && image.isConnected) setTimeout(load, 1000 * Math.max(2, error.wait_s), image);
    else image.classList.add("broken"); // erased meanwhile
  }
}
