"""The commands of the service, one module each: options, one call, and what is printed."""
