"""Who may do what, and the record of it: API keys, the guard of the routes, rates, and the audit log."""
