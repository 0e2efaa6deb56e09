"""The commands of the service: how they are asked, what they do, and what they print."""
