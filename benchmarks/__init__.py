"""What the project measures: one question a file; run.py asks them all."""
