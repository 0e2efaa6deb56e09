"""Values that callers send, as text or numbers: read, bounded and named in messages."""
