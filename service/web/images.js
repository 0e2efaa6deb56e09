// Images of items. An <img> cannot send a key: they are fetched once they are in sight, and shown as blobs.

import { ask } from "./api.js";
import { make } from "./dom.js";

const addresses = new WeakMap();
const inSight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) load(target);
}, { rootMargin: "300px" });

// an <img> of an item
export function imageOf(item, alt = "") {
  const image = make("img", { alt });
  if (item.image_url) {
    addresses.set(image, item.image_url);
    inSight.observe(image);
  }
  return image;
}

// Shows a blob. Its address is revoked at once when the image is there: nothing else keeps it.
export function draw(image, blob) {
  const address = URL.createObjectURL(blob);
  image.onload = image.onerror = (event) => {
    URL.revokeObjectURL(address);
    image.classList.toggle("broken", event.type === "error");
  };
  image.src = address;
  return image;
}

export async function fetchImage(item) {
  return (await ask(item.image_url)).blob();
}

async function load(image) {
  inSight.unobserve(image);
  try {
    draw(image, await (await ask(addresses.get(image))).blob());
  } catch (error) {
    if (error.again && image.isConnected) setTimeout(load, 1000 * Math.max(2, error.wait_s), image);
    else image.classList.add("broken"); // it was erased in the meantime
  }
}
