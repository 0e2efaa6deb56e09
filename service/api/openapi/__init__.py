"""The API's own description, and docs/api.md written from it."""
