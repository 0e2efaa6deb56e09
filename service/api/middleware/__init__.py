"""What stands around every request: one ASGI layer a file."""
