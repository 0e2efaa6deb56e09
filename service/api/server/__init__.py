"""The HTTP server: its socket, its connections and their time limits."""
