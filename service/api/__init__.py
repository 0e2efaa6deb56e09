"""The HTTP service around the galleries: requests in, answers out, and everything that stands around them."""
