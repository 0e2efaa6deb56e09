"""Images on their way into a gallery: files, frames with boxes, uploads; labels, quality and cameras."""
