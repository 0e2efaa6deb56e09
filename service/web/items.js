// Items as answers show them. An id is of one gallery only: what is done to an item names its gallery and its image.

export const keyOf = ({ gallery, id }) => `${gallery}/${id}`;

// the address of an act on one item, which is refused where the item has another image by now
export function addressOf({ gallery, id, image_hash }) {
  return `/v1/items/${id}?${new URLSearchParams({ gallery, image_hash })}`;
}

// tells all parts of the page what became of items: "erased" with their keys, "labelled" with the items as they are now
export function announce(what, detail) {
  document.dispatchEvent(new CustomEvent(what, { detail }));
}
