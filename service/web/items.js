// Items of answers. Ids are unique in a gallery only: a change names the gallery and the image hash, too.

export const keyOf = ({ gallery, id }) => `${gallery}/${id}`;

// The URL that changes an item; the service refuses it if the item has another image by now.
export function itemUrl({ gallery, id, image_hash }) {
  return `/v1/items/${id}?${new URLSearchParams({ gallery, image_hash })}`;
}

// Notifies all parts of the page: "erased" with keys, "labelled" with the changed items.
export function notify(type, detail) {
  document.dispatchEvent(new CustomEvent(type, { detail }));
}
